/*
 * faults: loaded into every process of the program under test (LD_PRELOAD), it counts the calls that change files
 * below a directory, or that send to sockets and pipes, and disturbs one of them.
 *
 * What to do stands in a file that all processes map (environment variable FAULT_STATE, written by t/lib/stress.py;
 * struct state is its layout).  The call whose number is the target is preceded by SIGKILL for the process, or for
 * all processes that have the file mapped; or it fails with an error; or so do all calls from there on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NONE, KILL, KILL_ALL, FAIL_ONCE, FAIL_ON };
#define MAX_PROCESSES 2048

static struct state {
    long counted;                      /* calls so far */
    long files;                        /* those of them that change files */
    long target;
    int fault, error;
    int channels;                      /* sockets and pipes count too */
    int fired;                         /* the process whose call was disturbed */
    int processes;
    int pid[MAX_PROCESSES];
    char below[512];
    char what[512];                    /* the call that was disturbed */
} *state;
static char state_path[PATH_MAX];

static void register_process(void)
{
    int at = __sync_fetch_and_add(&state->processes, 1);
    if (at < MAX_PROCESSES)
        state->pid[at] = getpid();
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULT_STATE");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        return;
    state = at;
    snprintf(state_path, sizeof state_path, "%s", path);
    register_process();
    pthread_atfork(NULL, NULL, register_process);
}

/* A process id may have been given to a stranger meanwhile: ours have the file mapped. */
static int is_ours(int pid)
{
    char name[64], line[PATH_MAX + 128];
    int found = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", pid);
    FILE *f = fopen(name, "re");
    if (f == NULL)
        return 0;
    while (!found && fgets(line, sizeof line, f) != NULL)
        found = strstr(line, state_path) != NULL;
    fclose(f);
    return found;
}

static void kill_all(void)
{
    int count = state->processes < MAX_PROCESSES ? state->processes : MAX_PROCESSES;
    for (int i = 0; i < count; i++)
        if (state->pid[i] != getpid() && is_ours(state->pid[i]))
            kill(state->pid[i], SIGKILL);
}

/* Count a call, and disturb it if it is its turn: 1 to let it fail with errno set. */
static int disturbed(const char *call, const char *path)
{
    int fault = state->fault;
    long number = __sync_add_and_fetch(&state->counted, 1);
    if (fault == NONE || (fault == FAIL_ON ? number < state->target : number != state->target))
        return 0;
    if (__sync_bool_compare_and_swap(&state->fired, 0, getpid()))
        snprintf(state->what, sizeof state->what, "%s %s", call, path);
    if (fault == FAIL_ONCE || fault == FAIL_ON) {
        errno = state->error;
        return 1;
    }
    if (fault == KILL_ALL)
        kill_all();
    kill(getpid(), SIGKILL);
    return 0;
}

static int at_path(const char *call, const char *path)
{
    if (state == NULL || path == NULL || strncmp(path, state->below, strlen(state->below)) != 0)
        return 0;
    __sync_add_and_fetch(&state->files, 1);
    return disturbed(call, path);
}

static int at_fd(const char *call, int fd)
{
    char name[64], path[PATH_MAX];
    int kept = errno;
    if (state == NULL)
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    errno = kept;
    if (length < 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, "socket:", 7) == 0 || strncmp(path, "pipe:", 5) == 0)
        return state->channels ? disturbed(call, path) : 0;
    return at_path(call, path);
}

/* What gives room back fails for many reasons, but not for a lack of it. */
static int has_room(void)
{
    return state != NULL && state->error == ENOSPC;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (real == NULL) \
        real = (__typeof__(&name)) dlsym(RTLD_NEXT, #name)

#define ON_FD(type, name, parameters, arguments) \
    type name parameters { REAL(name); return at_fd(#name, fd) ? -1 : real arguments; }
#define ON_PATH(type, name, parameters, arguments) \
    type name parameters { REAL(name); return at_path(#name, path) ? -1 : real arguments; }

ON_FD(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, writev, (int fd, const struct iovec *data, int count), (fd, data, count))
ON_FD(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
ON_FD(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
ON_FD(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
ON_FD(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))

#define FREEING_FD(type, name, parameters, arguments) \
    type name parameters { REAL(name); return !has_room() && at_fd(#name, fd) ? -1 : real arguments; }
FREEING_FD(int, ftruncate, (int fd, off_t size), (fd, size))
FREEING_FD(int, ftruncate64, (int fd, off64_t size), (fd, size))

int unlink(const char *path)
{
    REAL(unlink);
    return !has_room() && at_path("unlink", path) ? -1 : real(path);
}

ON_PATH(int, mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH(int, rename, (const char *path, const char *new), (path, new))
ON_PATH(int, link, (const char *path, const char *new), (path, new))

int unlinkat(int at, const char *path, int flags)
{
    REAL(unlinkat);
    return !has_room() && at_path("unlinkat", path) ? -1 : real(at, path, flags);
}

int linkat(int from, const char *path, int to, const char *new, int flags)
{
    REAL(linkat);
    return at_path("linkat", path) ? -1 : real(from, path, to, new, flags);
}

/* Only files that are made count: reading changes nothing. */
#define OPENING(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list list; \
        va_start(list, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0; \
        va_end(list); \
        return flags & O_CREAT && at_path(#name, path) ? -1 : real(path, flags, mode); \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name) \
    int name(int at, const char *path, int flags, ...) \
    { \
        REAL(name); \
        va_list list; \
        va_start(list, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0; \
        va_end(list); \
        return flags & O_CREAT && at_path(#name, path) ? -1 : real(at, path, flags, mode); \
    }
OPENING_AT(openat)
OPENING_AT(openat64)
