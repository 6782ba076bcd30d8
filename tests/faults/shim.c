/* Makes a disk fail on purpose: preloaded, it stands between a process and the C library.

   Every operation that changes something below a given folder is counted, and the one with a given number ends as it is
   told: with an error, with half of its bytes written, or with the death of the process. What is asked of other places
   is handed on untouched. The plan of the failure lies in a page that forked children share with their parent, which so
   learns how many operations there were even from a child that was killed. Syncing is left out: it takes most of the
   time, and no test here cuts the power. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { NOTHING, FAIL_ONCE, FAIL_ON, SHORT_ONCE, SHORT_ON, KILL_BEFORE, KILL_HALF, KILL_AFTER };

static struct {
    char below[4096]; /* the folder, absolute, without a slash at its end; empty: nothing is watched */
    int at, how, error; /* which operation, what becomes of it, with which errno */
    int count; /* operations so far */
    char name[64]; /* what the one was that failed */
} *plan;

/* Operations that need room; on a full disk the others go on. */
enum kind { TAKES_ROOM, FREES_ROOM };

__attribute__((constructor)) static void begin(void) {
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (plan == MAP_FAILED)
        abort();
}

void fault_set(const char *below, int at, int how, int error) {
    snprintf(plan->below, sizeof plan->below, "%s", below);
    plan->at = at, plan->how = how, plan->error = error;
    plan->count = 0, plan->name[0] = 0;
}

int fault_count(void) { return plan->count; }
const char *fault_name(void) { return plan->name; }

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found)
        abort();
    return found;
}

static int is_below(const char *path) {
    size_t length = strlen(plan->below);
    return length && !strncmp(path, plan->below, length) && (!path[length] || path[length] == '/');
}

static int named_by(int descriptor) {
    char link[64], path[4096];
    if (!plan || !plan->below[0])
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return is_below(path);
}

static int named(int folder, const char *path) {
    char link[64], start[4096], whole[8300];
    if (!plan || !plan->below[0] || !path)
        return 0;
    if (path[0] == '/')
        return is_below(path);
    if (folder == AT_FDCWD)
        snprintf(link, sizeof link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, start, sizeof start - 1);
    if (length < 0)
        return 0;
    start[length] = 0;
    snprintf(whole, sizeof whole, "%s/%s", start, path);
    return is_below(whole);
}

static void die(void) { kill(getpid(), SIGKILL); }

/* What becomes of the next operation. */
enum fate { GOES_ON, FAILS, IS_SHORT, DIES_HALF, DIES_AFTER };

static enum fate next(const char *name, enum kind kind) {
    int number = ++plan->count;
    int full = plan->error == ENOSPC || plan->error == EDQUOT;
    if (!plan->at || number < plan->at)
        return GOES_ON;
    if (number > plan->at) {
        int lasts = plan->how == FAIL_ON || plan->how == SHORT_ON;
        int rest = plan->how == SHORT_ONCE && number == plan->at + 1; /* the write that is to complete it */
        int fails = (lasts || rest) && !(full && kind == FREES_ROOM);
        return fails ? (errno = plan->error, FAILS) : GOES_ON;
    }
    snprintf(plan->name, sizeof plan->name, "%s", name);
    int write = strstr(name, "write") != NULL;
    switch (plan->how) {
    case KILL_BEFORE:
        die();
    case KILL_HALF:
        return write ? DIES_HALF : (die(), FAILS);
    case KILL_AFTER:
        return DIES_AFTER;
    case SHORT_ONCE:
    case SHORT_ON:
        if (write)
            return IS_SHORT;
    case FAIL_ONCE:
    case FAIL_ON:
        errno = plan->error;
        return FAILS;
    }
    return GOES_ON;
}

#define RETURN(fate, call) \
    do { \
        __typeof__(call) given = (call); \
        if ((fate) == DIES_AFTER) \
            die(); \
        return given; \
    } while (0)

/* An operation that writes no bytes: it takes place or not. */
#define PLAIN(watched, name, kind, failed, call) \
    do { \
        enum fate fate = (watched) ? next(#name, kind) : GOES_ON; \
        if (fate == FAILS) \
            return failed; \
        RETURN(fate, call); \
    } while (0)

/* One that writes `size`, which stands in the call as `part`. */
#define BYTES(descriptor, name, failed, type, size, call) \
    do { \
        enum fate fate = named_by(descriptor) ? next(#name, TAKES_ROOM) : GOES_ON; \
        if (fate == FAILS) \
            return failed; \
        type part = fate == IS_SHORT || fate == DIES_HALF ? (size) / 2 : (size); \
        if (fate == IS_SHORT && !part) \
            return errno = plan->error, failed; \
        __typeof__(call) given = (call); \
        if (fate == DIES_HALF || fate == DIES_AFTER) \
            die(); \
        return given; \
    } while (0)

ssize_t write(int file, const void *bytes, size_t size) {
    BYTES(file, write, -1, size_t, size, REAL(write)(file, bytes, part));
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t start) {
    BYTES(file, pwrite, -1, size_t, size, REAL(pwrite)(file, bytes, part, start));
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t start) {
    BYTES(file, pwrite64, -1, size_t, size, REAL(pwrite64)(file, bytes, part, start));
}

ssize_t writev(int file, const struct iovec *parts, int size) {
    BYTES(file, writev, -1, int, size, REAL(writev)(file, parts, part));
}

/* NumPy writes arrays through a stream, whose buffer the C library would empty by itself, past this file. */
static size_t flushed(size_t written, FILE *stream) { return fflush(stream) ? 0 : written; }

size_t fwrite(const void *bytes, size_t size, size_t number, FILE *stream) {
    if (fileno(stream) <= 2 || !named_by(fileno(stream)))
        return REAL(fwrite)(bytes, size, number, stream);
    BYTES(fileno(stream), fwrite, 0, size_t, number, flushed(REAL(fwrite)(bytes, size, part, stream), stream));
}

#define CHANGES(flags) ((flags) & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))
#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) {
    MODE(flags)
    PLAIN(CHANGES(flags) && named(AT_FDCWD, path), open, TAKES_ROOM, -1, REAL(open)(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    MODE(flags)
    PLAIN(CHANGES(flags) && named(AT_FDCWD, path), open64, TAKES_ROOM, -1, REAL(open64)(path, flags, mode));
}

int openat(int folder, const char *path, int flags, ...) {
    MODE(flags)
    PLAIN(CHANGES(flags) && named(folder, path), openat, TAKES_ROOM, -1, REAL(openat)(folder, path, flags, mode));
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE(flags)
    PLAIN(CHANGES(flags) && named(folder, path), openat64, TAKES_ROOM, -1, REAL(openat64)(folder, path, flags, mode));
}

FILE *fopen64(const char *path, const char *how) {
    PLAIN(how[0] != 'r' && named(AT_FDCWD, path), fopen64, TAKES_ROOM, NULL, REAL(fopen64)(path, how));
}

int fsync(int file) { PLAIN(named_by(file), fsync, TAKES_ROOM, -1, named_by(file) ? 0 : REAL(fsync)(file)); }

int fdatasync(int file) {
    PLAIN(named_by(file), fdatasync, TAKES_ROOM, -1, named_by(file) ? 0 : REAL(fdatasync)(file));
}

int ftruncate(int file, off_t size) {
    PLAIN(named_by(file), ftruncate, FREES_ROOM, -1, REAL(ftruncate)(file, size));
}

int ftruncate64(int file, off64_t size) {
    PLAIN(named_by(file), ftruncate64, FREES_ROOM, -1, REAL(ftruncate64)(file, size));
}

int truncate64(const char *path, off64_t size) {
    PLAIN(named(AT_FDCWD, path), truncate64, FREES_ROOM, -1, REAL(truncate64)(path, size));
}

int posix_fallocate64(int file, off64_t start, off64_t size) {
    PLAIN(named_by(file), posix_fallocate64, TAKES_ROOM, plan->error, REAL(posix_fallocate64)(file, start, size));
}

int unlink(const char *path) { PLAIN(named(AT_FDCWD, path), unlink, FREES_ROOM, -1, REAL(unlink)(path)); }

int unlinkat(int folder, const char *path, int flags) {
    PLAIN(named(folder, path), unlinkat, FREES_ROOM, -1, REAL(unlinkat)(folder, path, flags));
}

int rmdir(const char *path) { PLAIN(named(AT_FDCWD, path), rmdir, FREES_ROOM, -1, REAL(rmdir)(path)); }

int rename(const char *from, const char *to) {
    PLAIN(named(AT_FDCWD, to), rename, FREES_ROOM, -1, REAL(rename)(from, to));
}

int renameat(int folder, const char *from, int other, const char *to) {
    PLAIN(named(other, to), renameat, FREES_ROOM, -1, REAL(renameat)(folder, from, other, to));
}

int mkdir(const char *path, mode_t mode) {
    PLAIN(named(AT_FDCWD, path), mkdir, TAKES_ROOM, -1, REAL(mkdir)(path, mode));
}

int mkdirat(int folder, const char *path, mode_t mode) {
    PLAIN(named(folder, path), mkdirat, TAKES_ROOM, -1, REAL(mkdirat)(folder, path, mode));
}

int link(const char *from, const char *to) {
    PLAIN(named(AT_FDCWD, to), link, TAKES_ROOM, -1, REAL(link)(from, to));
}

int linkat(int folder, const char *from, int other, const char *to, int flags) {
    PLAIN(named(other, to), linkat, TAKES_ROOM, -1, REAL(linkat)(folder, from, other, to, flags));
}

int symlink(const char *to, const char *path) {
    PLAIN(named(AT_FDCWD, path), symlink, TAKES_ROOM, -1, REAL(symlink)(to, path));
}
