/* The wall clock of whoever loads this with LD_PRELOAD is off by as many seconds as a file says at that
 * moment; every other clock is true, as after a real step. sknockd asks for clocks by no other name.
 *
 * The network process reads no file and has no environment but what it needs. So the file is mapped
 * before it begins, and whoever starts a program passes this on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LIBRARY "LD_PRELOAD"
#define OFFSET "CLOCK_OFFSET_FILE"

static int (*true_clock)(clockid_t, struct timespec *);
static int (*true_exec)(const char *, char *const[]);
static const char *library, *file;
static const volatile int64_t *offset;

static void fail(const char *what)
{
    fprintf(stderr, "the stepped clock: %s\n", what);
    _exit(127);
}

__attribute__((constructor)) static void begin(void)
{
    true_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    true_exec = (int (*)(const char *, char *const[]))dlsym(RTLD_NEXT, "execvp");
    if (true_clock == NULL || true_exec == NULL)
        fail("the C library has another name for clocks");
    library = getenv(LIBRARY);
    file = getenv(OFFSET);
    if (library == NULL || file == NULL)
        fail("nobody says where the offset is");
    int opened = open(file, O_RDONLY | O_CLOEXEC);
    void *mapped = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, opened, 0);
    if (mapped == MAP_FAILED)
        fail("cannot map the offset");
    close(opened);
    offset = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = true_clock(clock, time);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += *offset;
    return result;
}

int execvp(const char *program, char *const arguments[])
{
    setenv(LIBRARY, library, 1);
    setenv(OFFSET, file, 1);
    return true_exec(program, arguments);
}
