/* Loaded with LD_PRELOAD. KILL_BEFORE=N: the program ends by SIGKILL before the Nth call that changes a
 * file or a name. FAIL_FROM=N: that call and all after it fail, as on a full disk, but for removals.
 * CLOCK=SECONDS: the wall clock stands at that time since 1970. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long calls;

/* Whether the call must fail. */
static int step(void)
{
    const char *before = getenv("KILL_BEFORE"), *from = getenv("FAIL_FROM");
    ++calls;
    if (before != NULL && calls == atol(before))
        kill(getpid(), SIGKILL);
    if (from == NULL || calls < atol(from))
        return 0;
    errno = ENOSPC;
    return 1;
}

#define TRUE_ONE(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT && step())
        return -1;
    return TRUE_ONE(open64)(path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    if (step())
        return -1;
    return TRUE_ONE(mkdir)(path, mode);
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset)
{
    if (step())
        return -1;
    return TRUE_ONE(pwrite64)(file, bytes, length, offset);
}

int fsync(int file)
{
    if (step())
        return -1;
    return TRUE_ONE(fsync)(file);
}

int fdatasync(int file)
{
    if (step())
        return -1;
    return TRUE_ONE(fdatasync)(file);
}

int rename(const char *from, const char *to)
{
    if (step())
        return -1;
    return TRUE_ONE(rename)(from, to);
}

int unlink(const char *path)
{
    (void)step();
    return TRUE_ONE(unlink)(path);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = TRUE_ONE(clock_gettime)(clock, time);
    const char *seconds = getenv("CLOCK");
    if (seconds != NULL && result == 0 && clock == CLOCK_REALTIME)
        *time = (struct timespec){ .tv_sec = atoll(seconds) };
    return result;
}
