/* What a process sees of the clock and of the disk, bent. Loaded by LD_PRELOAD.
 *
 * SOAK_CLOCK=SECONDS         CLOCK_REALTIME is off by so much.
 * SOAK_EIO=PREFIX:FROM:TO    of the reads (or SOAK_EIO_WRITES=1: the writes and syncs) of files whose
 *                            paths begin with PREFIX, numbers FROM to TO fail with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long offset(void) {
    const char *text = getenv("SOAK_CLOCK");
    return text ? atol(text) : 0;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int ended = REAL(clock_gettime)(id, at);
    if (ended == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        at->tv_sec += offset();
    return ended;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    int ended = REAL(gettimeofday)(at, zone);
    if (ended == 0)
        at->tv_sec += offset();
    return ended;
}

time_t time(time_t *at) {
    time_t now = REAL(time)(NULL) + offset();
    if (at)
        *at = now;
    return now;
}

/* Whether this call on `fd` is one of those that fail. */
static int fails(int fd, int writes) {
    static atomic_long calls;
    const char *text = getenv("SOAK_EIO");
    if (!text || (getenv("SOAK_EIO_WRITES") != NULL) != writes)
        return 0;
    char prefix[1024], link[64], path[4096];
    long from, to;
    if (sscanf(text, "%1023[^:]:%ld:%ld", prefix, &from, &to) != 3)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, prefix, strlen(prefix)) != 0)
        return 0;
    long number = atomic_fetch_add(&calls, 1);
    return number >= from && number <= to;
}

#define BENT(type, name, writes, parameters, arguments)                                             \
    type name parameters {                                                                          \
        if (fails(fd, writes)) {                                                                    \
            errno = EIO;                                                                            \
            return -1;                                                                              \
        }                                                                                           \
        return REAL(name) arguments;                                                                \
    }

BENT(ssize_t, read, 0, (int fd, void *bytes, size_t count), (fd, bytes, count))
BENT(ssize_t, pread, 0, (int fd, void *bytes, size_t count, off_t at), (fd, bytes, count, at))
BENT(ssize_t, pread64, 0, (int fd, void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
BENT(ssize_t, write, 1, (int fd, const void *bytes, size_t count), (fd, bytes, count))
BENT(ssize_t, pwrite, 1, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at))
BENT(ssize_t, pwrite64, 1, (int fd, const void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
BENT(int, fsync, 1, (int fd), (fd))
BENT(int, fdatasync, 1, (int fd), (fd))
BENT(int, ftruncate, 1, (int fd, off_t size), (fd, size))
BENT(int, ftruncate64, 1, (int fd, off64_t size), (fd, size))
