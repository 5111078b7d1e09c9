// Inflate of ISA-L (scripts/static/isa-l) with the CRC-32 of the output, as a module of WebAssembly without any import, for
// src/core/codec/gzip-wasm.ts. scripts/build-wasm.sh makes it.
#include <stddef.h>
#include <stdint.h>
#include "igzip_lib.h"
#include "inflate-needs.h"

#define EXPORT(name) __attribute__((export_name(#name)))

typedef uint64_t __attribute__((aligned(1), may_alias)) word;
typedef uint32_t __attribute__((aligned(1), may_alias)) half;

// ---- What inflate takes from a C library. Calls of the instruction that copies memory are slow for a few bytes.

#if defined(__wasm__)
enum { LONG = 512 };

void *memcpy(void *restrict to, const void *restrict from, size_t length) {
  if (length >= LONG) return __builtin_memcpy(to, from, length);
  uint8_t *out = to;
  const uint8_t *in = from;
  for (; length >= 8; out += 8, in += 8, length -= 8) *(word *)out = *(const word *)in;
  while (length-- > 0) *out++ = *in++;
  return to;
}
void *memmove(void *to, const void *from, size_t length) { return __builtin_memmove(to, from, length); }
void *memset(void *to, int value, size_t length) { return __builtin_memset(to, value, length); }
int memcmp(const void *a, const void *b, size_t length) {
  const uint8_t *left = a, *right = b;
  for (; length > 0; length--, left++, right++)
    if (*left != *right) return *left - *right;
  return 0;
}
size_t strnlen(const char *text, size_t most) {
  size_t length = 0;
  while (length < most && text[length] != 0) length++;
  return length;
}
#endif

// ---- CRC-32 (RFC 1952), sixteen bytes at a time.

enum { SLICES = 16 };
// The sum of a byte, and of as many zeros after it.
static uint32_t table[SLICES][256];

static void make_table(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t c = n;
    for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
    table[0][n] = c;
  }
  for (int zeros = 1; zeros < SLICES; zeros++)
    for (int n = 0; n < 256; n++) table[zeros][n] = table[zeros - 1][n] >> 8 ^ table[0][table[zeros - 1][n] & 255];
}

static inline uint32_t carry(uint64_t bytes, int zeros) {
  uint32_t c = 0;
  for (int at = 0; at < 8; at++) c ^= table[zeros + 7 - at][bytes >> 8 * at & 255];
  return c;
}

uint32_t crc32_gzip_refl(uint32_t sum, const unsigned char *bytes, uint64_t length) {
  uint32_t c = ~sum;
  size_t left = (size_t)length;
  for (; left >= SLICES; bytes += SLICES, left -= SLICES)
    c = carry(*(const word *)bytes ^ c, 8) ^ carry(*(const word *)(bytes + 8), 0);
  for (; left > 0; left--) c = table[0][(c ^ *bytes++) & 255] ^ c >> 8;
  return ~c;
}

// ---- The loop over the symbols of a block, as ISA-L has one for each processor: with the state in local variables, while there are
// input and output enough for any symbol. The rest, and all that is damaged, is left to ISA-L's own loop.

enum { ROOM_IN = 16, ROOM_OUT = 288, MOST_BITS = 48 };
// igzip_inflate.c: how its tables are packed.
enum { LONG_SYMBOL = 1 << 25, END_OF_BLOCK = 256, LAST_LENGTH = 512, FIRST_LENGTH = 254, DISTANCES = 30 };

static const uint16_t distance_from[DISTANCES] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                                  193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

static inline uint64_t low(uint64_t bits, uint32_t count) { return bits & (((uint64_t)1 << count) - 1); }

// Copies whole words: up to seven bytes too many, which later output replaces.
static inline void copy_match(uint8_t *out, uint32_t distance, uint32_t length) {
  const uint8_t *from = out - distance;
  uint8_t *end = out + length;
  if (distance >= 8) {
    do *(word *)out = *(const word *)from, out += 8, from += 8;
    while (out < end);
  } else if (distance == 1) {
    uint64_t same = *from * 0x0101010101010101u;
    do *(word *)out = same, out += 8;
    while (out < end);
  } else {
    do *out++ = *from++;
    while (out < end);
  }
}

static void decode_most(struct inflate_state *s, const uint8_t *start) {
  const uint32_t *symbols = s->lit_huff_code.short_code_lookup;
  const uint16_t *distances = s->dist_huff_code.short_code_lookup;
  uint64_t bits = s->read_in;
  uint32_t count = (uint32_t)s->read_in_length;
  const uint8_t *in = s->next_in, *in_end = in + s->avail_in - ROOM_IN;
  uint8_t *out = s->next_out, *out_end = out + s->avail_out - ROOM_OUT;
  while (in < in_end && out < out_end) {
    if (count < MOST_BITS) {
      bits |= *(const word *)in << count;
      in += (63 - count) >> 3;
      count |= 56;
    }
    uint32_t found = symbols[low(bits, ISAL_DECODE_LONG_BITS)], used, number = 1, value;
    if ((found & LONG_SYMBOL) == 0) {
      used = found >> 28;
      number = found >> 26 & 3;
      value = found & (LONG_SYMBOL - 1);
    } else {
      uint32_t more = (uint32_t)low(bits, found >> 26) >> ISAL_DECODE_LONG_BITS;
      uint32_t packed = s->lit_huff_code.long_code_lookup[(found & (LONG_SYMBOL - 1)) + more];
      used = packed >> 10;
      value = packed & 1023;
    }
    if (used == 0) break;
    *(half *)out = value;
    uint32_t last = value >> 8 * (number - 1);
    if (last < END_OF_BLOCK) {
      out += number;
      bits >>= used;
      count -= used;
      continue;
    }
    uint8_t *at = out + number - 1;
    uint64_t rest = bits >> used;
    if (last == END_OF_BLOCK) {
      s->block_state = s->bfinal ? ISAL_BLOCK_INPUT_DONE : ISAL_BLOCK_NEW_HDR;
      out = at;
      bits = rest;
      count -= used;
      break;
    }
    uint32_t distance = distances[low(rest, ISAL_DECODE_SHORT_BITS)], taken = distance >> 11;
    if (distance & 1 << 10) {
      uint32_t more = (uint32_t)low(rest, (distance - (1 << 10)) >> 11) >> ISAL_DECODE_SHORT_BITS;
      distance = s->dist_huff_code.long_code_lookup[(distance & 511) + more];
      taken = distance >> 10;
    }
    uint32_t symbol = distance & 31;
    if (taken == 0 || symbol >= DISTANCES || last > LAST_LENGTH) break;
    uint32_t extra = symbol < 4 ? 0 : symbol / 2 - 1, length = last - FIRST_LENGTH;
    rest >>= taken;
    distance = distance_from[symbol] + (uint32_t)low(rest, extra);
    if (distance > (uint32_t)(at - start)) break;
    copy_match(at, distance, length);
    out = at + length;
    bits = rest >> extra;
    count -= used + taken + extra;
  }
  s->read_in = bits;
  s->read_in_length = (int32_t)count;
  s->avail_in -= (uint32_t)(in - s->next_in);
  s->avail_out -= (uint32_t)(out - s->next_out);
  s->total_out += (uint32_t)(out - s->next_out);
  s->next_in = (uint8_t *)in;
  s->next_out = out;
}

int decode_huffman_code_block_stateless_base(struct inflate_state *, uint8_t *);
int decode_huffman_code_block_stateless(struct inflate_state *state, uint8_t *start) {
  if (state->avail_in > ROOM_IN && state->avail_out > ROOM_OUT && state->read_in_length >= 0) decode_most(state, start);
  return state->block_state == ISAL_BLOCK_CODED ? decode_huffman_code_block_stateless_base(state, start) : 0;
}

// ---- One stream at a time.

enum { INPUT = 256 * 1024, OUTPUT = 256 * 1024 };
static uint8_t input[INPUT], output[OUTPUT];
static struct inflate_state state;

// What JavaScript reads, each four bytes.
static struct {
  uint8_t *input, *output;
  // Of the last step: how far the input is used, and the bytes of output.
  uint32_t used, made;
  // Of all output of the stream; the size modulo 2^32.
  uint32_t crc, size;
  // Once the stream ended: bytes that were used and follow the stream, perhaps of an earlier input. They lie behind the number.
  uint32_t ahead;
  uint8_t ahead_bytes[8];
} shared;

// Ready for a stream. Returns the address of `shared`.
EXPORT(begin) void *begin(void) {
  if (table[0][1] == 0) make_table();
  isal_inflate_init(&state);
  state.crc_flag = ISAL_GZIP_NO_HDR;
  shared.input = input;
  shared.output = output;
  return &shared;
}

// Inflates `length` bytes of the input from `at` on, until they are used up, the output is full, or the stream ends. Returns 1 at the
// end of the stream, 0 before, -1 for damage.
EXPORT(step) int step(uint32_t at, uint32_t length) {
  state.next_in = input + at;
  state.avail_in = length - at;
  state.next_out = output;
  state.avail_out = OUTPUT;
  int result = isal_inflate(&state);
  shared.used = length - state.avail_in;
  shared.made = OUTPUT - state.avail_out;
  shared.crc = state.crc;
  shared.size = state.total_out;
  if (result < 0) return -1;
  if (state.block_state != ISAL_BLOCK_FINISH) return 0;
  shared.ahead = (uint32_t)state.read_in_length / 8;
  *(word *)shared.ahead_bytes = state.read_in >> state.read_in_length % 8;
  return 1;
}
