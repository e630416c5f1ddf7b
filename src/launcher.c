/* launcher - what sendmail, mailq and pyexim itself are on an installed system

SYNOPSIS
    pyexim [option ...] [recipient ...]

DESCRIPTION
    A command goes to the daemon's command socket, if a daemon serves this configuration; that costs a millisecond.
    Otherwise the interpreter is started, which does the work itself.  This is the only program of pyexim that may be
    set-uid root, so that ordinary users' commands work without a daemon as well.  It behaves as such a program must:

    - The daemon is asked with the caller's rights; it learns from the kernel who the caller is.
    - Nothing that the caller controls selects what is executed: the paths are those of launcher_settings.h, which
      etc/build_launcher.py writes from the build-time settings.
    - The interpreter gets an environment without what could direct it, no descriptor but 0, 1 and 2 (which are
      open), default signals, no timers, no core dump, limits and umask of our own.  The real uid stays the caller's:
      by the specification's rules the program decides what the caller may do, or gives the privilege up.
    - A utility (exiqgrep, ...) never has privilege, whatever the name was that we were called by.

    It parses of the command line only what names the configuration and what the daemon cannot do.  This half of the
    command socket is lib/pyexim/daemon/client.py once more, which serves where there is no C compiler: change both.
    The other half is lib/pyexim/daemon/command.py.

    With IN_TREE it serves bin/pyexim of a source tree, which passes its directory and the name it was called by as the
    first two arguments.  That build refuses to be set-uid.

DIAGNOSTICS
    The exit code is that of the command; or 71 (a system call failed), 75 (no answer from the daemon; or privilege is
    needed, there is no daemon, and we are not set-uid: try again later), 78 (installed in a way that is not safe).
*/

#define _GNU_SOURCE /* struct ucred, getresuid, SYS_close_range; the rest is POSIX */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher_settings.h" /* CONFIGURE_FILE COMMAND_DIRECTORY EXIM_USER SPOOL_DIRECTORY INTERPRETER PROGRAM */

enum { EX_OSERR = 71, EX_TEMPFAIL = 75, EX_CONFIG = 78 };
enum {
    MAX_REQUEST = 90000,  /* octets of a request; with more arguments than that a command runs by itself */
    MAX_MACROS = 10,      /* as many as the program takes */
    MAX_FILES = 16384,    /* octets of the list of configuration files */
    FIRST_STRAY = 3,      /* the first descriptor that is none of the program's business */
    MANY_FILES = 1024,    /* descriptors that a command with privilege may have at least */
    SAFE_UMASK = 022
};
#define STACK_SIZE ((rlim_t) 8 << 20)
#define LENGTH(array) (sizeof(array) / sizeof *(array))

/* A command, as it was called. */
struct command {
    const char *name;
    char **words; /* the arguments after the name */
    size_t count;
};

/* A macro of -D: parts of an argument, not terminated. */
struct macro {
    const char *name, *value;
    size_t name_length, value_length;
};

/* What the arguments say about how the command is to be run. */
struct wanted {
    bool by_daemon;          /* a daemon can do it */
    bool needs_privilege;    /* it submits, delivers, or looks at the queue */
    const char *configuration; /* the value of -C, or "" */
    struct macro macros[MAX_MACROS];
    size_t macro_count;
};

/* Text that is put together, in memory of fixed size; once something did not fit, it is full and of no use. */
struct text {
    char *data;
    size_t length, size;
    bool full;
};

static void fail(int code, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

static void fail(int code, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    fputs("pyexim: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(code);
}

/* ---- text */

static void add_octets(struct text *text, const char *octets, size_t length)
{
    if (text->full || length > text->size - text->length) {
        text->full = true;
        return;
    }
    memcpy(text->data + text->length, octets, length);
    text->length += length;
}

static void add(struct text *text, const char *string)
{
    add_octets(text, string, strlen(string));
}

/* Terminate the text; whether all of it is there. */
static bool complete(struct text *text)
{
    add_octets(text, "", 1);
    return !text->full;
}

/* Add octets as a JSON string of as many characters (ISO 8859-1): as they are, or else all of them by number. */
static void add_json(struct text *text, const char *octets, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    char escaped[6] = "\\u00";
    bool plain = true;
    size_t i;

    for (i = 0; i < length && plain; i++)
        plain = octets[i] >= ' ' && octets[i] <= '~' && octets[i] != '"' && octets[i] != '\\';
    add(text, "\"");
    if (plain)
        add_octets(text, octets, length);
    else
        for (i = 0; i < length && !text->full; i++) {
            escaped[4] = digits[(unsigned char) octets[i] >> 4];
            escaped[5] = digits[(unsigned char) octets[i] & 15];
            add_octets(text, escaped, sizeof escaped);
        }
    add(text, "\"");
}

/* Add the working directory, terminated; false if it is not known or too long. */
static bool add_directory(struct text *text)
{
    if (text->full || getcwd(text->data + text->length, text->size - text->length) == NULL)
        return false;
    text->length += strlen(text->data + text->length) + 1;
    return true;
}

/* Add a path, made absolute and without . and .. and empty parts, as os.path.abspath does; false if that fails. */
static bool add_absolute(struct text *text, const char *path, size_t length)
{
    char memory[2 * PATH_MAX];
    struct text whole = {memory, 0, sizeof memory, false};
    const char *part, *end;
    size_t base, n;

    if (path[0] != '/') {
        if (!add_directory(&whole))
            return false;
        whole.length--;
        add(&whole, "/");
    }
    add_octets(&whole, path, length);
    if (!complete(&whole))
        return false;
    /* Two slashes at the beginning, neither one nor three, are kept: POSIX leaves their meaning open. */
    add(text, path[0] == '/' && strncmp(memory, "//", 2) == 0 && memory[2] != '/' ? "//" : "/");
    base = text->length;
    for (part = memory; *part != '\0'; part = end + (*end == '/')) {
        end = part + strcspn(part, "/");
        n = (size_t) (end - part);
        if (n == 0 || (n == 1 && part[0] == '.'))
            continue;
        if (n == 2 && part[0] == '.' && part[1] == '.') {
            while (text->length > base && text->data[--text->length] != '/')
                continue;
            continue;
        }
        if (text->length > base)
            add(text, "/");
        add_octets(text, part, n);
    }
    return !text->full;
}

/* ---- the command line */

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    while (count-- > 0)
        if (strcmp(word, words[count]) == 0)
            return true;
    return false;
}

static bool begins_with_one_of(const char *word, const char *const *beginnings, size_t count)
{
    while (count-- > 0)
        if (strncmp(word, beginnings[count], strlen(beginnings[count])) == 0)
            return true;
    return false;
}

/* Whether a name may be that of a utility (exiqgrep, exim_lock, but not exim4), which never runs with privilege. */
static bool is_utility(const char *name)
{
    return strncmp(name, "exi", 3) == 0 && (name[3] != 'm' || name[4] == '_');
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Whether -q in this word, or with the word after it, has a time and so starts a daemon. */
static bool is_periodic(const char *word, const char *next)
{
    size_t length = strlen(word);

    if (strncmp(word, "-q", 2) != 0 || word[2] == 'R' || word[2] == 'S')
        return false;
    if (strchr("smhdw", word[length - 1]) != NULL && strpbrk(word, "0123456789") != NULL)
        return true;
    return next != NULL && next[0] != '\0' && strchr(next, '-') == NULL;
}

/* Take a macro of -D; false where the daemon's parser would refuse it. */
static bool take_macro(struct wanted *wanted, const char *text)
{
    static const char space[] = " \t\n\r\f\v";
    struct macro *macro = &wanted->macros[wanted->macro_count];
    size_t i;

    if (wanted->macro_count == MAX_MACROS)
        return false;
    macro->name = text + strspn(text, space);
    macro->name_length = strcspn(macro->name, "=");
    macro->value = macro->name + macro->name_length;
    macro->value += *macro->value == '=';
    macro->value += strspn(macro->value, space);
    macro->value_length = strlen(macro->value);
    while (macro->name_length > 0 && strchr(space, macro->name[macro->name_length - 1]) != NULL)
        macro->name_length--;
    for (i = 0; i < wanted->macro_count; i++)
        if (wanted->macros[i].name_length == macro->name_length
            && memcmp(wanted->macros[i].name, macro->name, macro->name_length) == 0)
            return false;
    wanted->macro_count++;
    return true;
}

/* Options with a value in the next word, as far as the daemon takes them. */
static const char *const VALUED[] = {
    "-f", "-F", "-r", "-h", "-oX", "-oP", "-oA", "-O", "-or", "-os", "-oMa", "-oMaa", "-oMai", "-oMas", "-oMi", "-oMm",
    "-oMr", "-oMs", "-oMt"};
/* Modes that start something of their own rather than ask the daemon, and what begins the names of others. */
static const char *const NEVER[] = {"-bd", "-bdf", "-bi"};
static const char *const NEVER_BEGINNING[] = {"-d", "-MC", "-bh", "-be", "-bw", "-oPX", "-X", "-L"};
/* Modes that an ordinary user can have done without any privilege. */
static const char *const INFORMING[] = {"-bV", "--version", "-bP", "-be", "-bem", "-bt", "-bv", "-bvs", "-bh", "-bhc",
                                        "-brt", "-brw", "-bi", "--help", "--check-config"};

/* Look through the arguments; the same as _wanted() in client.py, where the reasons are. */
static struct wanted look_through(const struct command *command)
{
    struct wanted wanted = {.by_daemon = true, .configuration = ""};
    const char *name = base_name(command->name), *word, *next;
    size_t i = 0;

    wanted.needs_privilege = command->count > 0 || strcmp(name, "mailq") == 0 || strcmp(name, "runq") == 0
        || strcmp(name, "rsmtp") == 0 || strcmp(name, "rmail") == 0;
    if (strcmp(name, "newaliases") == 0)
        wanted.needs_privilege = false;
    while (i < command->count) {
        word = command->words[i++];
        next = i < command->count ? command->words[i] : NULL;
        if (strcmp(word, "--") == 0)
            break;
        if (word[0] != '-') {
            for (; i < command->count; i++)
                if (strncmp(command->words[i], "-C", 2) == 0 || strncmp(command->words[i], "-D", 2) == 0)
                    wanted.by_daemon = false;
            break;
        }
        if (is_one_of(word, INFORMING, LENGTH(INFORMING)) || strncmp(word, "-bI:", 4) == 0)
            wanted.needs_privilege = false;
        if (is_one_of(word, NEVER, LENGTH(NEVER)) || is_periodic(word, next)
            || begins_with_one_of(word, NEVER_BEGINNING, LENGTH(NEVER_BEGINNING)))
            wanted.by_daemon = false;
        else if (strcmp(word, "-C") == 0) {
            wanted.configuration = next == NULL ? "" : next;
            i += next != NULL;
        } else if (strncmp(word, "-C", 2) == 0)
            wanted.configuration = word + 2;
        else if (strncmp(word, "-D", 2) == 0)
            wanted.by_daemon &= take_macro(&wanted, word + 2);
        else if (is_one_of(word, VALUED, LENGTH(VALUED)))
            i += next != NULL;
    }
    if (strcmp(wanted.configuration, CONFIGURE_FILE) == 0)
        wanted.configuration = "";
    return wanted;
}

/* ---- the daemon */

/* Add the absolute paths of a colon-separated list, with colons between them. */
static bool add_files(struct text *text, const char *list)
{
    size_t length, before = text->length;

    for (; *list != '\0'; list += length + (list[length] == ':')) {
        length = strcspn(list, ":");
        if (length == 0)
            continue;
        if (text->length > before)
            add(text, ":");
        if (!add_absolute(text, list, length))
            return false;
    }
    return complete(text);
}

static uint32_t crc32_of(uint32_t crc, const char *octets, size_t length)
{
    int bit;

    crc = ~crc;
    while (length-- > 0) {
        crc ^= (unsigned char) *octets++;
        for (bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
    }
    return ~crc;
}

static int compare_macros(const void *a, const void *b)
{
    const struct macro *one = a, *other = b;
    size_t shorter = one->name_length < other->name_length ? one->name_length : other->name_length;
    int order = memcmp(one->name, other->name, shorter);

    if (order != 0)
        return order;
    return (one->name_length > other->name_length) - (one->name_length < other->name_length);
}

/* Return what tells the socket of one configuration from those of others. */
static uint32_t socket_number(const char *files, struct wanted *wanted)
{
    uint32_t crc = crc32_of(0, files, strlen(files) + 1);
    const struct macro *macro;
    size_t i;

    qsort(wanted->macros, wanted->macro_count, sizeof *wanted->macros, compare_macros);
    for (i = 0; i < wanted->macro_count; i++) {
        macro = &wanted->macros[i];
        if (i > 0)
            crc = crc32_of(crc, "", 1);
        crc = crc32_of(crc, macro->name, macro->name_length);
        crc = crc32_of(crc, "=", 1);
        crc = crc32_of(crc, macro->value, macro->value_length);
    }
    return crc;
}

/* Put the record together: arguments, umask, working directory, configuration files, a part of the environment. */
static bool write_request(struct text *text, const struct command *command, const char *files)
{
    static const char *const passed[] = {"TZ", "HOME", "LOGNAME", "USER", "TERM", "LANG", "LC_ALL"};
    char memory[PATH_MAX + 1], number[16];
    struct text directory = {memory, 0, sizeof memory, false};
    const char *value;
    size_t i, length;
    mode_t mask = umask(0);
    bool first = true;

    umask(mask);
    add(text, "{\"type\":\"command\",\"argv\":[");
    add_json(text, command->name, strlen(command->name));
    for (i = 0; i < command->count && !text->full; i++) {
        add(text, ",");
        add_json(text, command->words[i], strlen(command->words[i]));
    }
    snprintf(number, sizeof number, "%u", (unsigned) mask);
    add(text, "],\"umask\":");
    add(text, number);
    add(text, ",\"cwd\":");
    value = add_directory(&directory) ? memory : "/";
    add_json(text, value, strlen(value));
    add(text, ",\"files\":[");
    for (; *files != '\0'; files += length + (files[length] == ':')) {
        length = strcspn(files, ":");
        add_json(text, files, length);
        if (files[length] == ':')
            add(text, ",");
    }
    add(text, "],\"env\":{");
    for (i = 0; i < LENGTH(passed); i++) {
        value = getenv(passed[i]);
        if (value == NULL)
            continue;
        if (!first)
            add(text, ",");
        first = false;
        add_json(text, passed[i], strlen(passed[i]));
        add(text, ":");
        add_json(text, value, strlen(value));
    }
    add(text, "}}");
    return !text->full;
}

/* Send the record with the descriptors 0, 1 and 2; whether that was possible. */
static bool send_request(int sock, const struct text *request)
{
    static const int three[] = {0, 1, 2};
    union {
        char space[CMSG_SPACE(sizeof three)];
        struct cmsghdr align;
    } control;
    struct iovec data = {request->data, request->length};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    struct cmsghdr *head;
    ssize_t sent;

    memset(&control, 0, sizeof control);
    message.msg_control = control.space;
    message.msg_controllen = sizeof control.space;
    head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof three);
    memcpy(CMSG_DATA(head), three, sizeof three);
    do
        sent = sendmsg(sock, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t) request->length;
}

/* Wait for the answer; the exit code, or -1 where the daemon has not done it. */
static int read_answer(int sock)
{
    static const char beginning[] = "{\"type\":\"exit\",\"code\":";
    char answer[256], *number, *end;
    ssize_t length;
    long code;

    do
        length = recv(sock, answer, sizeof answer - 1, 0);
    while (length < 0 && errno == EINTR);
    if (length < 0)
        return -1;
    if (length == 0) /* the daemon's child took the request and died: nobody knows what it had done */
        fail(EX_TEMPFAIL, "the daemon gave no answer");
    answer[length] = '\0';
    if (strncmp(answer, beginning, sizeof beginning - 1) != 0)
        return -1;
    number = answer + sizeof beginning - 1;
    errno = 0;
    code = strtol(number, &end, 10);
    return errno == 0 && end > number && *end == '}' ? (int) (code & 0xff) : -1;
}

/* Connect to a socket that must be of this user's; the socket, or -1. */
static int connect_to(const char *path, uid_t owner)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer;
    socklen_t length = sizeof peer;
    struct stat st;
    int sock;

    if (strlen(path) >= sizeof address.sun_path || stat(path, &st) != 0 || st.st_uid != owner)
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return -1;
    if (connect(sock, (const struct sockaddr *) &address, sizeof address) != 0
        || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.uid != owner) {
        close(sock);
        return -1;
    }
    return sock;
}

/* Have the daemon do the work; the exit code, or -1 if no daemon took it. */
static int ask_daemon(const struct command *command, struct wanted *wanted)
{
    static char data[MAX_REQUEST];
    char list[MAX_FILES], path[PATH_MAX];
    struct text files = {list, 0, sizeof list, false}, request = {data, 0, sizeof data, false};
    uid_t caller = getuid();
    uint32_t number;
    int sock, code = -1;

    if (!add_files(&files, wanted->configuration))
        return -1;
    number = socket_number(list, wanted);
    snprintf(path, sizeof path, "%s/%08lx.sock", COMMAND_DIRECTORY, (unsigned long) number);
    sock = connect_to(path, 0);
    if (sock < 0) {
        snprintf(path, sizeof path, "/tmp/.pyexim-%lu/%08lx.sock", (unsigned long) caller, (unsigned long) number);
        sock = connect_to(path, caller);
    }
    if (sock < 0)
        return -1;
    if (write_request(&request, command, list) && send_request(sock, &request))
        code = read_answer(sock);
    close(sock);
    return code;
}

/* ---- the interpreter */

/* See to it that descriptors 0, 1 and 2 are open: what is opened later must not come to lie there. */
static void open_standard_descriptors(void)
{
    int fd;

    for (fd = 0; fd < FIRST_STRAY; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(EX_OSERR);
}

extern char **environ;

/* Return a list of pointers in memory of its own, all of them NULL. */
static char **new_list(size_t count)
{
    char **list = calloc(count, sizeof *list);

    if (list == NULL)
        fail(EX_OSERR, "%s", strerror(ENOMEM));
    return list;
}

/* Start the interpreter in isolated mode. */
static void start_interpreter(const struct command *command, const char *interpreter, const char *program,
                              char **environment, bool with_privilege)
{
    char **argv = new_list(command->count + 10);
    size_t n = 0;

    argv[n++] = (char *) interpreter;
    argv[n++] = (char *) "-I";
    argv[n++] = (char *) "-S";
    if (with_privilege)
        argv[n++] = (char *) "-B"; /* it writes none of its own files */
    argv[n++] = (char *) "-X";
    argv[n++] = (char *) "pyexim_asked"; /* there is no need to ask the daemon again */
    argv[n++] = (char *) program;
    argv[n++] = (char *) command->name;
    memcpy(argv + n, command->words, command->count * sizeof *argv);
    execve(interpreter, argv, environment);
    fail(errno == ENOENT ? EX_CONFIG : EX_OSERR, "%s: %s", interpreter, strerror(errno));
}

/* ---- a source tree */

#ifdef IN_TREE

/* In a source tree nobody has privilege that they did not have before. */
int main(int argc, char **argv)
{
    char interpreter[PATH_MAX], program[PATH_MAX];
    struct command command;
    struct wanted wanted;
    int code = -1;

    open_standard_descriptors();
    if (getuid() != geteuid() || getgid() != getegid())
        fail(EX_CONFIG, "the launcher of a source tree must not be set-uid");
    if (argc < 3)
        fail(EX_CONFIG, "the launcher of a source tree is started by bin/pyexim");
    command = (struct command){argv[2], argv + 3, (size_t) argc - 3};
    if ((size_t) snprintf(interpreter, sizeof interpreter, "%s/.venv/bin/python", argv[1]) >= sizeof interpreter
        || (size_t) snprintf(program, sizeof program, "%s/lib/pyexim/__main__.py", argv[1]) >= sizeof program)
        fail(EX_OSERR, "%s", strerror(ENAMETOOLONG));
    wanted = look_through(&command);
    if (wanted.by_daemon && !is_utility(base_name(command.name)))
        code = ask_daemon(&command, &wanted);
    if (code < 0)
        start_interpreter(&command, interpreter, program, environ, false);
    return code;
}

#else

/* ---- an installation: before the privilege is passed on */

/* Close all other descriptors. */
static void close_stray_descriptors(void)
{
    struct dirent *entry;
    DIR *directory;
    long fd, highest = sysconf(_SC_OPEN_MAX);

#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned) FIRST_STRAY, ~0U, 0U) == 0)
        return;
#endif
    /* The limit may have been lowered after higher ones were opened, so it is the last resort. */
    directory = opendir("/proc/self/fd");
    if (directory != NULL) {
        highest = -1;
        while ((entry = readdir(directory)) != NULL) {
            fd = strtol(entry->d_name, NULL, 10);
            if (fd >= highest)
                highest = fd + 1;
        }
        closedir(directory);
    }
    if (highest < 0 || highest > 1 << 20)
        highest = 1 << 20;
    for (fd = FIRST_STRAY; fd < highest; fd++)
        close((int) fd);
}

/* Give signals their default meaning, but for those that a shell has a background process ignore; stop timers. */
static void reset_signals(void)
{
    static const int callers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
    static const int timers[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    struct itimerval never;
    struct sigaction action;
    sigset_t none;
    size_t i;
    int number;

    memset(&never, 0, sizeof never);
    for (i = 0; i < LENGTH(timers); i++)
        setitimer(timers[i], &never, NULL);
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (number = 1; number < NSIG; number++) {
        for (i = 0; i < LENGTH(callers) && callers[i] != number; i++)
            continue;
        if (i == LENGTH(callers))
            sigaction(number, &action, NULL); /* fails for SIGKILL and such: nothing to be done there */
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Have a limit be at least so much; where even root must not raise the hard one (in a container), as much as it allows. */
static void raise_limit(int which, rlim_t least)
{
    struct rlimit limit;

    if (getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= least)
        return;
    limit.rlim_cur = least;
    if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < least) {
        limit.rlim_max = least;
        if (setrlimit(which, &limit) == 0 || getrlimit(which, &limit) != 0)
            return;
        limit.rlim_cur = limit.rlim_max;
    }
    setrlimit(which, &limit); /* where this fails, so does something later, and says so */
}

/* Set limits that mail for others can be handled with, whatever the caller's own are; never a core dump. */
static void reset_limits(void)
{
    static const int unlimited[] = {RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_AS, RLIMIT_NPROC};
    struct rlimit none = {0, 0};
    size_t i;

    if (setrlimit(RLIMIT_CORE, &none) != 0)
        fail(EX_OSERR, "core dumps cannot be prevented: %s", strerror(errno));
    for (i = 0; i < LENGTH(unlimited); i++)
        raise_limit(unlimited[i], RLIM_INFINITY);
    raise_limit(RLIMIT_STACK, STACK_SIZE);
    raise_limit(RLIMIT_NOFILE, MANY_FILES);
}

/* Whether a variable may reach the interpreter: an ordinary name, and nothing that directs the loader, the C library,
   the interpreter, a cryptographic or directory library, or a shell, before keep_environment is applied. */
static bool is_harmless(const char *variable)
{
    static const char *const refused[] = {
        "LD_", "DYLD_", "PYTHON", "GLIBC_", "GCONV_", "MALLOC_", "LOCPATH", "NLSPATH", "TZDIR", "TMPDIR", "RES_OPTIONS",
        "RESOLV_", "HOSTALIASES", "LOCALDOMAIN", "NIS_", "GETCONF_", "LIBC_", "OPENSSL_", "SSL_", "SSLKEYLOGFILE",
        "KRB5", "LDAP", "SASL_", "PG", "MYSQL_", "ODBC", "BASH_", "ENV=", "IFS=", "CDPATH=", "PS4=", "SHELLOPTS",
        "BASHOPTS", "PERL", "RUBY", "NODE_"};
    const char *c;

    if (!(isascii((unsigned char) variable[0]) && (isalpha((unsigned char) variable[0]) || variable[0] == '_')))
        return false;
    for (c = variable; *c != '='; c++)
        if (!(isascii((unsigned char) *c) && (isalnum((unsigned char) *c) || *c == '_')))
            return false;
    return !begins_with_one_of(variable, refused, LENGTH(refused));
}

static char **clean_environment(void)
{
    char **from = environ, **to;
    size_t count = 0, kept = 0, i;

    while (from != NULL && from[count] != NULL)
        count++;
    to = new_list(count + 1);
    for (i = 0; i < count; i++)
        if (is_harmless(from[i]))
            to[kept++] = from[i];
    return to;
}

/* Refuse to give root's power to a file that another user could have written. */
static void check_owner(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        fail(EX_OSERR, "%s: %s; install pyexim again", path, strerror(errno));
    if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        fail(EX_CONFIG, "%s must belong to root, and nobody else may write to it", path);
}

/* Whether a file is the caller's: the first of a list that exists. */
static bool is_callers_own(const char *list)
{
    char path[PATH_MAX];
    struct stat st;
    size_t length;

    for (; *list != '\0'; list += length + (list[length] == ':')) {
        length = strcspn(list, ":");
        if (length == 0 || length >= sizeof path)
            continue;
        memcpy(path, list, length);
        path[length] = '\0';
        if (stat(path, &st) == 0)
            return st.st_uid == getuid();
    }
    return false;
}

/* Whether the caller is who the mail is kept by, and so needs no privilege to receive (from inetd, say). */
static bool is_mail_user(void)
{
    const struct passwd *entry = getpwnam(EXIM_USER);
    struct stat st;

    return (entry != NULL && entry->pw_uid == getuid()) || (stat(SPOOL_DIRECTORY, &st) == 0 && st.st_uid == getuid());
}

/* ---- identity */

/* Give the privilege up for good; it is an error if a way back remains. */
static void drop_for_good(uid_t caller)
{
    if (setresuid(caller, caller, caller) != 0)
        fail(EX_OSERR, "privilege cannot be given up: %s", strerror(errno));
    if (caller != 0 && (setuid(0) == 0 || seteuid(0) == 0))
        fail(EX_OSERR, "privilege could be regained");
}

/* Take the privilege that was laid aside: effective uid root, real uid the caller's. */
static void take_privilege(uid_t caller)
{
    uid_t real, effective, saved;

    if (seteuid(0) != 0 || getresuid(&real, &effective, &saved) != 0 || real != caller || effective != 0)
        fail(EX_OSERR, "the privilege of the set-uid bit is not to be had: %s", strerror(errno));
}

/* Settle who we are: whether we have been started set-uid root, in which case the privilege is laid aside for now. */
static bool settle_identity(void)
{
    uid_t caller = getuid(), effective = geteuid();
    gid_t group = getgid();

    if (getegid() != group && setresgid(group, group, group) != 0)
        fail(EX_OSERR, "the caller's group cannot be taken on: %s", strerror(errno));
    if (effective != caller && effective != 0)
        fail(EX_CONFIG, "this program is set-uid, but does not belong to root");
    if (caller == 0 || effective != 0)
        return false;
    if (seteuid(caller) != 0)
        fail(EX_OSERR, "the caller's identity cannot be taken on: %s", strerror(errno));
    return true;
}

int main(int argc, char **argv)
{
    static char *nothing[] = {NULL};
    struct command command = {"pyexim", nothing, 0};
    struct wanted wanted;
    bool set_uid;
    int code;

    open_standard_descriptors();
    set_uid = settle_identity();
    if (argc > 0)
        command = (struct command){argv[0], argv + 1, (size_t) argc - 1};
    wanted = look_through(&command);
    if (is_utility(base_name(command.name))) {
        drop_for_good(getuid());
        start_interpreter(&command, INTERPRETER, PROGRAM, clean_environment(), false);
    }
    if (wanted.by_daemon) {
        code = ask_daemon(&command, &wanted);
        if (code >= 0)
            return code;
    }
    if (set_uid) {
        close_stray_descriptors();
        reset_signals();
        umask(SAFE_UMASK);
        take_privilege(getuid());
        reset_limits();
        check_owner(INTERPRETER);
        check_owner(PROGRAM);
    } else if (getuid() != 0 && wanted.needs_privilege && !is_callers_own(wanted.configuration) && !is_mail_user())
        fail(EX_TEMPFAIL, "no mail daemon took the command, and without one it needs privilege that this program has not "
             "(it is not set-uid root): nothing has been done, try again later");
    start_interpreter(&command, INTERPRETER, PROGRAM, clean_environment(), set_uid);
    return EX_OSERR;
}

#endif
