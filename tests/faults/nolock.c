/* A file system mounted without locks: every kind of lock fails with the number in NOLOCK. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>

static int refused(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_GETLK || command == F_OFD_SETLK ||
           command == F_OFD_SETLKW;
}

static int fail(void) {
    errno = atoi(getenv("NOLOCK"));
    return -1;
}

#define CONTROL(NAME)                                                    \
    int NAME(int fd, int command, ...) {                                 \
        static int (*real)(int, int, ...) = 0;                           \
        va_list rest;                                                    \
        va_start(rest, command);                                         \
        void *argument = va_arg(rest, void *);                           \
        va_end(rest);                                                    \
        if (!real) real = dlsym(RTLD_NEXT, #NAME);                       \
        return refused(command) && getenv("NOLOCK") ? fail() : real(fd, command, argument); \
    }
CONTROL(fcntl)
CONTROL(fcntl64)

int flock(int fd, int operation) {
    static int (*real)(int, int) = 0;
    if (!real) real = dlsym(RTLD_NEXT, "flock");
    return getenv("NOLOCK") ? fail() : real(fd, operation);
}
