// Files made whole, some by one call. JavaScript writes a batch and calls hawser_make_files through FFI
// (src/platform/kernel/whole-files.ts); in other programs each step is a call of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

// One file. The next begins `next` bytes after it. UNCHANGED: nothing sets that.
struct file {
  uint32_t next, perm, uid, gid, mode, padding;
  uint64_t content, length;
  struct timespec times[2];
  char name[];
};
#define UNCHANGED UINT32_MAX

// Before the files. `made`, `step`, `error` and `fd` are the answer: so many files are whole; what failed of the next, by which
// errno. The descriptor is open after WRITE only.
struct batch {
  uint32_t count;
  int32_t dir;
  uint32_t made;
  int32_t step, error, fd;
};

enum step { NONE, CREATE, WRITE, DESCRIBE, CLOSE };

static int write_all(int fd, const char *bytes, uint64_t length) {
  while (length > 0) {
    ssize_t done = write(fd, bytes, length);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return -1;
    bytes += done;
    length -= (uint64_t)done;
  }
  return 0;
}

static int describe(int fd, const struct file *file) {
  // chown(2) clears the setuid bits: the mode comes after.
  if (file->uid != UNCHANGED && fchown(fd, file->uid, file->gid) < 0) return -1;
  if (file->mode != UNCHANGED && fchmod(fd, file->mode) < 0) return -1;
  return futimens(fd, file->times);
}

static enum step make(int dir, const struct file *file, int *fd) {
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  do *fd = openat(dir, file->name, flags, file->perm);
  while (*fd < 0 && errno == EINTR);
  if (*fd < 0) return CREATE;
  if (write_all(*fd, (const char *)(uintptr_t)file->content, file->length) < 0) return WRITE;
  int described = describe(*fd, file);
  // Linux has released the descriptor also when close(2) is interrupted.
  if (close(*fd) < 0 && errno != EINTR) return CLOSE;
  return described < 0 ? DESCRIBE : NONE;
}

void hawser_make_files(struct batch *batch) {
  const char *at = (const char *)(batch + 1);
  for (batch->made = 0; batch->made < batch->count; batch->made++) {
    const struct file *file = (const struct file *)at;
    batch->step = make(batch->dir, file, &batch->fd);
    batch->error = errno;
    if (batch->step != NONE) return;
    at += file->next;
  }
}
