// Decompression on a thread of its own: inflate of ISA-L, and the Zstandard that Node's executable has. JavaScript calls these
// functions through FFI (src/platform/codecs/linked-decoder.ts). All memory that the thread sees belongs to the decoder: a worker
// of Node may end at any time, and its buffers with it.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include "igzip_lib.h"
#include "inflate-needs.h"

// ---- What Node's executable exports (zstd.h, zstd_errors.h, zlib.h).

typedef struct ZSTD_DCtx_s ZSTD_DCtx;
typedef struct { const void *src; size_t size, pos; } ZSTD_inBuffer;
typedef struct { void *dst; size_t size, pos; } ZSTD_outBuffer;
ZSTD_DCtx *ZSTD_createDCtx(void);
size_t ZSTD_freeDCtx(ZSTD_DCtx *);
size_t ZSTD_DCtx_setParameter(ZSTD_DCtx *, int, int);
size_t ZSTD_decompressStream(ZSTD_DCtx *, ZSTD_outBuffer *, ZSTD_inBuffer *);
unsigned ZSTD_isError(size_t);
int ZSTD_getErrorCode(size_t);
unsigned long crc32(unsigned long, const unsigned char *, unsigned);

enum { ZSTD_WINDOW_LOG_MAX = 100, LARGEST_WINDOW_LOG = 27 };

// ---- What ISA-L's inflate asks for.

static uint32_t crc32_by_zlib(uint32_t sum, const unsigned char *bytes, uint64_t length) {
  return (uint32_t)crc32(sum, bytes, (unsigned)length);
}

#if defined(__x86_64__)
uint32_t crc32_gzip_refl_by8(uint32_t, const unsigned char *, uint64_t);

static bool multiplies_polynomials(void) {
  unsigned a, b, features, d;
  return __get_cpuid(1, &a, &b, &features, &d) && (features & bit_PCLMUL) && (features & bit_SSE4_1);
}

// ISA-L's takes 14.5 GB a second where zlib's takes 4.5.
uint32_t crc32_gzip_refl(uint32_t sum, const unsigned char *bytes, uint64_t length) {
  // Threads may look at the processor side by side: all find the same.
  static _Atomic(uint32_t (*)(uint32_t, const unsigned char *, uint64_t)) chosen;
  if (chosen == NULL) chosen = multiplies_polynomials() ? crc32_gzip_refl_by8 : crc32_by_zlib;
  return chosen(sum, bytes, length);
}
#else
uint32_t crc32_gzip_refl(uint32_t sum, const unsigned char *bytes, uint64_t length) {
  return crc32_by_zlib(sum, bytes, length);
}
#endif

#if defined(__aarch64__)
int decode_huffman_code_block_stateless_aarch64(struct inflate_state *, uint8_t *);
int decode_huffman_code_block_stateless(struct inflate_state *state, uint8_t *start) {
  return decode_huffman_code_block_stateless_aarch64(state, start);
}
#endif

// ---- A decoder: a ring of inputs, a ring of outputs, a thread between them.

enum { DEFLATE = 0, ZSTD = 1 };
// What hawser_decoder_take returns besides lengths; errors are FAILED, less zstd's code if the data are zstd's.
enum { HUNGRY = 0, WAITING = -1, ENDED = -2, FAILED = -1000 };
enum { RING = 4, INPUT = 256 * 1024, OUTPUT = 512 * 1024, IDLE_MS = 1000 };

struct piece {
  uint8_t *bytes;
  uint32_t length;
  bool last;
};

struct decoder {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t thread;
  pid_t owner;
  bool stop;
  // The thread alone uses both, but between two streams.
  struct inflate_state *inflate;
  ZSTD_DCtx *zstd;
  // Counters of pieces: given by the owner, used up by the thread; made by the thread, taken by the owner.
  struct piece inputs[RING], outputs[RING];
  uint32_t given, used, made, taken;
  // Bytes of the input and of the output that the thread is at.
  uint32_t at, filled;
  // Output is left although all input was read.
  bool pending;
  // 0 while data are decoded; ENDED or an error.
  int64_t state;
};

static void lock(struct decoder *d) { pthread_mutex_lock(&d->lock); }
static void unlock(struct decoder *d) { pthread_mutex_unlock(&d->lock); }

static struct timespec in_ms(uint32_t ms) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_nsec += (long)(ms % 1000) * 1000000;
  at.tv_sec += ms / 1000 + at.tv_nsec / 1000000000;
  at.tv_nsec %= 1000000000;
  return at;
}

static bool wait_until(struct decoder *d, const struct timespec *end) {
  return pthread_cond_timedwait(&d->changed, &d->lock, end) != ETIMEDOUT;
}

static void release(struct decoder *d) {
  for (int at = 0; at < RING; at++) free(d->inputs[at].bytes), free(d->outputs[at].bytes);
  free(d->inflate);
  if (d->zstd != NULL) ZSTD_freeDCtx(d->zstd);
  pthread_mutex_destroy(&d->lock);
  pthread_cond_destroy(&d->changed);
  free(d);
}

// Decodes until the input is used up, the output is full, or the data end. Returns the new state.
static int64_t inflate_some(struct decoder *d, struct piece *in, struct piece *out) {
  struct inflate_state *s = d->inflate;
  s->next_in = in->bytes + d->at;
  s->avail_in = in->length - d->at;
  s->next_out = out->bytes + d->filled;
  s->avail_out = OUTPUT - d->filled;
  int result = isal_inflate(s);
  d->at = in->length - s->avail_in;
  d->filled = OUTPUT - s->avail_out;
  d->pending = s->avail_out == 0;
  return result < 0 ? FAILED : s->block_state == ISAL_BLOCK_FINISH ? ENDED : 0;
}

static int64_t unzstd_some(struct decoder *d, struct piece *in, struct piece *out) {
  ZSTD_inBuffer from = {in->bytes, in->length, d->at};
  ZSTD_outBuffer to = {out->bytes, OUTPUT, d->filled};
  size_t hint = ZSTD_decompressStream(d->zstd, &to, &from);
  d->at = (uint32_t)from.pos;
  d->filled = (uint32_t)to.pos;
  if (ZSTD_isError(hint)) return FAILED - ZSTD_getErrorCode(hint);
  // 0: a frame is complete and out.
  d->pending = hint != 0 && to.pos == OUTPUT;
  bool through = from.pos == from.size && !d->pending;
  return through && in->last && hint != 0 ? FAILED : 0;
}

// One step of the thread, without the lock but where rings change.
static void step(struct decoder *d) {
  struct piece *in = &d->inputs[d->used % RING], *out = &d->outputs[d->made % RING];
  unlock(d);
  int64_t state = d->zstd != NULL ? unzstd_some(d, in, out) : inflate_some(d, in, out);
  lock(d);
  d->state = state;
  if (state == 0 && d->at == in->length && !d->pending) d->used++, d->at = 0;
  bool idle = state != 0 || d->used == d->given;
  if (d->filled == OUTPUT || (idle && d->filled > 0)) {
    out->length = d->filled;
    d->filled = 0;
    d->made++;
  }
  pthread_cond_broadcast(&d->changed);
}

static bool can_step(const struct decoder *d) {
  return d->state == 0 && d->given != d->used && d->made - d->taken < RING;
}

// A thread of Node that ended without closing its decoder: nobody else will.
static bool is_abandoned(const struct decoder *d) { return tgkill(getpid(), d->owner, 0) != 0 && errno == ESRCH; }

static void *run(void *argument) {
  struct decoder *d = argument;
  bool abandoned = false;
  lock(d);
  while (!d->stop && !abandoned) {
    struct timespec end = in_ms(IDLE_MS);
    if (can_step(d)) step(d);
    else if (!wait_until(d, &end)) abandoned = is_abandoned(d);
  }
  unlock(d);
  if (abandoned) {
    pthread_detach(pthread_self());
    release(d);
  }
  return NULL;
}

static bool start(struct decoder *d) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&d->thread, NULL, run, d);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed == 0;
}

static bool allocate(struct decoder *d, int format) {
  bool whole = true;
  for (int at = 0; at < RING; at++) {
    whole = (d->inputs[at].bytes = malloc(INPUT)) != NULL && whole;
    whole = (d->outputs[at].bytes = malloc(OUTPUT)) != NULL && whole;
  }
  if (format == DEFLATE) return (d->inflate = malloc(sizeof *d->inflate)) != NULL && whole;
  if ((d->zstd = ZSTD_createDCtx()) == NULL) return false;
  return !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_WINDOW_LOG_MAX, LARGEST_WINDOW_LOG)) && whole;
}

static void begin_deflate(struct inflate_state *s) {
  isal_inflate_init(s);
  s->crc_flag = ISAL_GZIP_NO_HDR;
}

// ---- The functions. One thread of Node owns a decoder: the one that opened it.

// NULL when there is no memory or no thread: then others decode.
void *hawser_decoder_open(int format) {
  struct decoder *d = calloc(1, sizeof *d);
  if (d == NULL) return NULL;
  pthread_condattr_t clock;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_mutex_init(&d->lock, NULL);
  pthread_cond_init(&d->changed, &clock);
  pthread_condattr_destroy(&clock);
  d->owner = gettid();
  if (allocate(d, format)) {
    if (d->inflate != NULL) begin_deflate(d->inflate);
    if (start(d)) return d;
  }
  release(d);
  return NULL;
}

// Copies an input, as much as has room, and returns its length: 0 while all pieces are in use. `last`: a frame of zstd
// must be complete after these bytes.
uint32_t hawser_decoder_give(struct decoder *d, const uint8_t *bytes, uint32_t length, int last) {
  lock(d);
  bool room = d->given - d->used < RING;
  unlock(d);
  if (!room) return 0;
  struct piece *in = &d->inputs[d->given % RING];
  in->length = length < INPUT ? length : INPUT;
  in->last = last != 0 && in->length == length;
  memcpy(in->bytes, bytes, in->length);
  lock(d);
  d->given++;
  pthread_cond_broadcast(&d->changed);
  unlock(d);
  return in->length;
}

// Copies the next output, of at most OUTPUT bytes, and returns its length. Waits no longer than `ms`, then WAITING. HUNGRY: all
// input is decoded. ENDED or an error comes after all output.
int64_t hawser_decoder_take(struct decoder *d, uint8_t *into, uint32_t ms) {
  struct timespec end = in_ms(ms);
  bool waits = ms > 0;
  lock(d);
  while (d->made == d->taken && d->state == 0 && d->given != d->used && waits) waits = wait_until(d, &end);
  struct piece *out = d->made != d->taken ? &d->outputs[d->taken % RING] : NULL;
  int64_t state = d->state != 0 ? d->state : d->given == d->used ? HUNGRY : WAITING;
  unlock(d);
  if (out == NULL) return state;
  uint32_t length = out->length;
  memcpy(into, out->bytes, length);
  lock(d);
  d->taken++;
  pthread_cond_broadcast(&d->changed);
  unlock(d);
  return length;
}

// After ENDED: writes the CRC-32 and the length (modulo 2^32) of the output, then what follows the stream in the inputs, at most
// 8 + RING * INPUT bytes in all, and is ready for the next stream. Returns how many bytes were written.
uint32_t hawser_decoder_finish(struct decoder *d, uint8_t *into) {
  lock(d);
  struct inflate_state *s = d->inflate;
  uint32_t sums[2] = {s->crc, s->total_out}, length = sizeof sums;
  memcpy(into, sums, sizeof sums);
  // Whole bytes that were read ahead.
  uint64_t ahead = s->read_in >> s->read_in_length % 8;
  memcpy(into + length, &ahead, (size_t)s->read_in_length / 8);
  length += (uint32_t)s->read_in_length / 8;
  for (; d->used != d->given; d->used++, d->at = 0) {
    struct piece *in = &d->inputs[d->used % RING];
    memcpy(into + length, in->bytes + d->at, in->length - d->at);
    length += in->length - d->at;
  }
  begin_deflate(s);
  d->state = 0;
  unlock(d);
  return length;
}

void hawser_decoder_close(struct decoder *d) {
  lock(d);
  d->stop = true;
  pthread_cond_broadcast(&d->changed);
  unlock(d);
  pthread_join(d->thread, NULL);
  release(d);
}

// A whole deflate stream at the start of `bytes`, on the calling thread. Writes its output to `into` and {bytes used, CRC-32} to
// `sums`; returns the length of the output. -1: the stream is damaged, longer than the input, or too large.
int64_t hawser_inflate_small(const uint8_t *bytes, uint32_t length, uint8_t *into, uint32_t capacity, uint32_t *sums) {
  // Too large for the stack of a worker.
  struct inflate_state *s = malloc(sizeof *s);
  if (s == NULL) return -1;
  begin_deflate(s);
  s->next_in = (uint8_t *)bytes;
  s->avail_in = length;
  s->next_out = into;
  s->avail_out = capacity;
  bool whole = isal_inflate(s) == ISAL_DECOMP_OK && s->block_state == ISAL_BLOCK_FINISH;
  sums[0] = length - s->avail_in - (uint32_t)s->read_in_length / 8;
  sums[1] = s->crc;
  int64_t size = capacity - s->avail_out;
  free(s);
  return whole ? size : -1;
}
