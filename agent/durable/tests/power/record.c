/* Loaded into a process with LD_PRELOAD: writes down everything it does to the files of one folder, in order, so that what a
 * disk may hold after a power cut can be computed for any moment.
 *
 * RECORD_FOLDER: the folder. RECORD_LOG: where to. RECORD_KILL: after so many records the process is killed, so that the log
 * is whole. A record is: kind (1 byte), length of the name (2), name, a number (8), length of the data (8), data. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 4096
#define NAME 256

/* One record at a time, and what it records with it: the order of the log is the order of the disk. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -2;
static long left;
static const char *folder;
static size_t folder_length;
static uint64_t syncs;
/* The names of open files of the folder, below it. */
static char names[FILES][NAME];

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        long written = syscall(SYS_write, log_file, at, length);
        if (written <= 0) abort();
        at += written;
        length -= (size_t)written;
    }
}

static void record(char kind, const char *name, uint64_t number, const void *data, uint64_t length) {
    if (log_file < 0) return;
    uint16_t name_length = (uint16_t)strlen(name);
    put(&kind, 1);
    put(&name_length, 2);
    put(name, name_length);
    put(&number, 8);
    put(&length, 8);
    put(data, length);
    if (left > 0 && --left == 0) syscall(SYS_kill, getpid(), SIGKILL);
}

static void begin(void) {
    if (log_file != -2) return;
    const char *path = getenv("RECORD_LOG"), *kill = getenv("RECORD_KILL");
    folder = getenv("RECORD_FOLDER");
    folder_length = folder ? strlen(folder) : 0;
    left = kill ? atol(kill) : 0;
    log_file = path && folder ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    record('P', "", 0, "", 0);
}

static const char *below(const char *path) {
    begin();
    if (log_file < 0 || strncmp(path, folder, folder_length) != 0 || path[folder_length] != '/') return NULL;
    return path + folder_length + 1;
}

static int known(int file) {
    begin();
    return file >= 0 && file < FILES && names[file][0] != 0;
}

static int opened(const char *path, int flags, int mode) {
    const char *name = below(path);
    pthread_mutex_lock(&lock);
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (file >= 0 && file < FILES) {
        names[file][0] = 0;
        if (name && !(flags & O_DIRECTORY)) {
            snprintf(names[file], NAME, "%s", name);
            if (flags & (O_CREAT | O_TRUNC)) record('O', name, (flags & O_TRUNC) != 0, "", 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return file;
}

#define WITH_MODE(function)                                    \
    int function(const char *path, int flags, ...) {           \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        int mode = va_arg(rest, int);                          \
        va_end(rest);                                          \
        return opened(path, flags, mode);                      \
    }
WITH_MODE(open)
WITH_MODE(open64)

int close(int file) {
    if (known(file)) names[file][0] = 0;
    return (int)syscall(SYS_close, file);
}

static long controlled(int file, int command, long argument) {
    long result = syscall(SYS_fcntl, file, command, argument);
    if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && result >= 0 && result < FILES && known(file))
        memcpy(names[result], names[file], NAME);
    return result;
}

#define CONTROL(function)                                      \
    int function(int file, int command, ...) {                 \
        va_list rest;                                          \
        va_start(rest, command);                               \
        long argument = va_arg(rest, long);                    \
        va_end(rest);                                          \
        return (int)controlled(file, command, argument);       \
    }
CONTROL(fcntl)
CONTROL(fcntl64)

ssize_t pwrite64(int file, const void *data, size_t length, off64_t place) {
    if (!known(file)) return syscall(SYS_pwrite64, file, data, length, place);
    pthread_mutex_lock(&lock);
    ssize_t written = syscall(SYS_pwrite64, file, data, length, place);
    if (written > 0) record('W', names[file], (uint64_t)place, data, (uint64_t)written);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int file, const void *data, size_t length) {
    /* What the process says is part of the story: how much it has acknowledged. */
    if (!known(file) && !(file == STDOUT_FILENO && log_file >= 0)) return syscall(SYS_write, file, data, length);
    pthread_mutex_lock(&lock);
    ssize_t written = (ssize_t)length;
    if (known(file)) {
        off_t place = lseek(file, 0, SEEK_CUR);
        written = syscall(SYS_write, file, data, length);
        if (written > 0) record('W', names[file], (uint64_t)place, data, (uint64_t)written);
    } else {
        record('A', "", 0, data, length);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

int ftruncate64(int file, off64_t size) {
    if (!known(file)) return (int)syscall(SYS_ftruncate, file, size);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_ftruncate, file, size);
    record('T', names[file], (uint64_t)size, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

static int synced(long call, int file) {
    uint64_t number = 0;
    if (known(file)) {
        pthread_mutex_lock(&lock);
        number = ++syncs;
        record('S', names[file], number, "", 0);
        pthread_mutex_unlock(&lock);
    }
    int result = (int)syscall(call, file);
    if (number) {
        pthread_mutex_lock(&lock);
        if (result == 0) record('E', names[file], number, "", 0);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fsync(int file) { return synced(SYS_fsync, file); }
int fdatasync(int file) { return synced(SYS_fdatasync, file); }

int rename(const char *from, const char *to) {
    const char *old = below(from), *new = below(to);
    char both[2 * NAME];
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0 && old && new) {
        snprintf(both, sizeof both, "%s\n%s", old, new);
        record('R', both, 0, "", 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) {
    const char *name = below(path);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0 && name) record('U', name, 0, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}
