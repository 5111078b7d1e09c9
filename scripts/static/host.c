// A static program that hosts Node's published executable, which lies at fixed addresses of the same file. The kernel starts
// this program; its main does what a dynamic linker would have done for Node, and jumps to Node's own start. README.md beside
// this file says why and how.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "host.h"

extern void *const imports[];
extern const struct fixup fixups[];
extern const int fixups_count;
extern const struct copy copies[];
extern const int copies_count;
extern const struct name names[];
extern const int names_count;
void fix_threads(char *thread);

// ---- The two programs of this file, told apart by their addresses.

enum { MAX_HEADERS = 24 };
struct program {
  Elf64_Phdr headers[MAX_HEADERS];
  int count;
  char *low, *high, *eh_frame;
};
static struct program node, own;

static void add(struct program *program, const Elf64_Phdr *header) {
  if (program->count == MAX_HEADERS) abort();
  program->headers[program->count++] = *header;
  char *start = (char *)header->p_vaddr;
  if (header->p_type == PT_GNU_EH_FRAME) program->eh_frame = start;
  if (header->p_type != PT_LOAD) return;
  if (program->low == NULL) program->low = start;
  program->high = start + header->p_memsz;
}

// Before any other constructor: an exception may be thrown by one.
__attribute__((constructor(101))) static void find_programs(void) {
  const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
  int count = (int)getauxval(AT_PHNUM);
  for (int at = 0; at < count; at++) {
    if (headers[at].p_vaddr >= OWN_BASE) add(&own, &headers[at]);
    else if (headers[at].p_vaddr != 0) add(&node, &headers[at]);
  }
}

// For the unwinder, and for Node, which looks for its embedded resource in the notes of the first.
int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data) {
  struct dl_phdr_info info = {0};
  info.dlpi_name = "";
  info.dlpi_phdr = node.headers;
  info.dlpi_phnum = node.count;
  info.dlpi_adds = 2;
  int result = callback(&info, sizeof info, data);
  if (result != 0) return result;
  info.dlpi_name = "host";
  info.dlpi_phdr = own.headers;
  info.dlpi_phnum = own.count;
  return callback(&info, sizeof info, data);
}

static int is_in(const struct program *program, const char *address, struct dl_find_object *result) {
  if (address < program->low || address >= program->high) return 0;
  result->dlfo_map_start = program->low;
  result->dlfo_map_end = program->high;
  result->dlfo_eh_frame = program->eh_frame;
  return 1;
}

int _dl_find_object(void *address, struct dl_find_object *result) {
  memset(result, 0, sizeof *result);
  return is_in(&node, address, result) || is_in(&own, address, result) ? 0 : -1;
}

// ---- Loading: this process's own symbols, nothing of the machine it runs on.

static __thread const char *dl_error;

void *dlopen(const char *name, int flags) {
  (void)flags;
  if (name == NULL || strcmp(name, "libc.so.6") == 0) return (void *)1;
  dl_error = "this executable is static: it loads no shared libraries";
  return NULL;
}

void *dlsym(void *handle, const char *name) {
  (void)handle;
  int low = 0, high = names_count - 1;
  while (low <= high) {
    int middle = (low + high) / 2, order = strcmp(name, names[middle].name);
    if (order == 0) return names[middle].address;
    if (order < 0) high = middle - 1;
    else low = middle + 1;
  }
  dl_error = "this static executable has no such symbol";
  return NULL;
}

int dlclose(void *handle) {
  (void)handle;
  return 0;
}

char *dlerror(void) {
  const char *error = dl_error;
  dl_error = NULL;
  return (char *)error;
}

int dladdr(const void *address, Dl_info *info) {
  (void)address, (void)info;
  return 0;
}

// What libc itself would load: modules for users and hosts (NSS), character sets (gconv), libidn2.
void *__libc_dlopen_mode(const char *name, int mode) {
  (void)name, (void)mode;
  return NULL;
}
void *__libc_dlsym(void *handle, const char *name) {
  (void)handle, (void)name;
  return NULL;
}
void *__libc_dlvsym(void *handle, const char *name, const char *version) {
  (void)handle, (void)name, (void)version;
  return NULL;
}
int __libc_dlclose(void *handle) {
  (void)handle;
  return 0;
}

// Locale archives of the machine are of its own glibc: only "C" is known.
char *setlocale(int category, const char *name) {
  (void)category;
  int known = name == NULL || *name == 0 || strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0;
  return known ? "C" : NULL;
}

// ---- Names that only a shared libc has.

int __xstat(int version, const char *path, struct stat *into) { return (void)version, stat(path, into); }
int __lxstat(int version, const char *path, struct stat *into) { return (void)version, lstat(path, into); }
int __fxstat(int version, int fd, struct stat *into) { return (void)version, fstat(fd, into); }
int __xstat64(int version, const char *path, struct stat64 *into) { return (void)version, stat64(path, into); }
int __lxstat64(int version, const char *path, struct stat64 *into) { return (void)version, lstat64(path, into); }
int __fxstat64(int version, int fd, struct stat64 *into) { return (void)version, fstat64(fd, into); }
int __fxstatat64(int version, int dir, const char *path, struct stat64 *into, int flags) {
  return (void)version, fstatat64(dir, path, into, flags);
}

// ---- Signals. Node gives every signal its default at its start; one that was ignored (nohup, a shell's background job) is to
// stay ignored.

int __sigaction(int number, const struct sigaction *action, struct sigaction *before);

static const int KEPT[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
static unsigned inherited;

static void find_ignored(void) {
  for (size_t at = 0; at < sizeof KEPT / sizeof *KEPT; at++) {
    struct sigaction now;
    if (__sigaction(KEPT[at], NULL, &now) == 0 && now.sa_handler == SIG_IGN) inherited |= 1u << KEPT[at];
  }
}

int sigaction(int number, const struct sigaction *action, struct sigaction *before) {
  int kept = number > 0 && number < 32 && (inherited >> number & 1u) != 0;
  return __sigaction(number, kept ? NULL : action, before);
}

// ---- Names of threads, by which Node names each of its own, the first one too, whose name is the process's (ps, pidof): that stays
// the name of the file.

int pthread_setname_np(pthread_t thread, const char *name) {
  if (!pthread_equal(thread, pthread_self())) return ENOTSUP;
  if (gettid() == getpid()) return 0;
  return prctl(PR_SET_NAME, name) == 0 ? 0 : errno;
}

// ---- Node.

typedef int (*main_function)(int, char **, char **);

// Node's _start calls this one. libc is initialised, for it is the host's too.
int node_libc_start_main(main_function main, int argc, char **argv, void (*init)(int, char **, char **),
                         void (*fini)(void)) {
  if (fini != NULL) atexit(fini);
  if (init != NULL) init(argc, argv, environ);
  exit(main(argc, argv, environ));
}

#if defined(__x86_64__)
// Accesses that Node's compiler did not resolve: its block ends where the thread pointer points to.
void *__tls_get_addr(size_t *index) {
  return (char *)__builtin_thread_pointer() - NODE_TLS_SIZE + index[1];
}
static void jump(void *stack, void *start) {
  __asm__ volatile("mov %0, %%rsp\n xor %%edx, %%edx\n xor %%ebp, %%ebp\n jmp *%1" ::"r"(stack), "r"(start)
                   : "memory", "rdx");
}
#elif defined(__aarch64__)
static void jump(void *stack, void *start) {
  __asm__ volatile("mov sp, %0\n mov x0, xzr\n mov x29, xzr\n mov x30, xzr\n br %1" ::"r"(stack), "r"(start)
                   : "memory", "x0");
}
#else
#error "host.c knows x86-64 and arm64"
#endif

// Variables that steer Node (options, a debugger, files to write, certificates to trust) are not for this program.
static void drop_node_variables(void) {
  char **to = environ;
  for (char **from = environ; *from != NULL; from++)
    if (strncmp(*from, "NODE_", 5) != 0) *to++ = *from;
  *to = NULL;
}

int main(int argc, char **argv) {
  (void)argc;
  drop_node_variables();
  for (int at = 0; at < copies_count; at++)
    memcpy((void *)(uintptr_t)copies[at].where, copies[at].from, copies[at].size);
  for (int at = 0; at < fixups_count; at++) {
    const struct fixup *fixup = &fixups[at];
    int64_t base = fixup->import < 0 ? 0 : (int64_t)imports[fixup->import];
    *(int64_t *)(uintptr_t)fixup->where = base + fixup->addend;
  }
  fix_threads(__builtin_thread_pointer());
  find_ignored();
  mprotect((void *)RELRO_START, RELRO_END - RELRO_START, PROT_READ);
  // The kernel's stack begins with argc, right before argv.
  jump(argv - 1, (void *)NODE_START);
  __builtin_unreachable();
}
