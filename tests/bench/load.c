/* What stands at both ends of the benchmark: a client that sends and fetches blobs, and a sink that plays just enough
 * of SWR. It is C because each end shares the machine with what is measured: here a plain body costs one sendfile or
 * one recv that copies nothing, and TLS costs what OpenSSL costs. Nothing is checked that the benchmark does not need.
 *
 *   load sink PORT [CERTIFICATE KEY]
 *   load send|fetch PORT plain|tls AUTHORIZATION REPOSITORY DIGEST BYTES CONNECTIONS
 *
 * `send` opens all connections, then times POST and PUT of BYTES zero bytes on each; `fetch` times GET. Both print the
 * seconds from the first request to the last answer. A repository whose name ends in s<BYTES> has blobs of that size.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1 << 20)
#define HEAD 16384

struct link { /* a connection; head[end..held) has been read but belongs to what follows the head */
    int fd;
    SSL *ssl;
    size_t end, held;
    char head[HEAD + 1];
};

static char zeros[BLOCK];
static int zeros_file;
static SSL_CTX *tls;

static void die(const char *what) {
    perror(what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static long long least(long long a, long long b) { return a < b ? a : b; }

static ssize_t take(struct link *l, char *into, size_t most) {
    return l->ssl ? SSL_read(l->ssl, into, (int)most) : recv(l->fd, into, most, 0);
}

static int put(struct link *l, const char *data, size_t size) {
    while (size) {
        ssize_t n = l->ssl ? SSL_write(l->ssl, data, (int)size) : send(l->fd, data, size, MSG_NOSIGNAL);
        if (n <= 0) return -1;
        data += n, size -= (size_t)n;
    }
    return 0;
}

static int put_zeros(struct link *l, long long size) {
    while (size > 0) {
        off_t start = 0;
        long long n = least(size, BLOCK);
        if (!l->ssl) n = sendfile(l->fd, zeros_file, &start, (size_t)n);
        else if (put(l, zeros, (size_t)n)) return -1;
        if (n <= 0) return -1;
        size -= n;
    }
    return 0;
}

/* Reads the next head into l->head, ended by NUL instead of its last line feed. -1 at the end of the connection. */
static int read_head(struct link *l) {
    memmove(l->head, l->head + l->end, l->held - l->end);
    l->held -= l->end, l->end = 0;
    for (;;) {
        char *blank;
        l->head[l->held] = 0;
        if ((blank = strstr(l->head, "\r\n\r\n"))) {
            l->end = (size_t)(blank - l->head) + 4;
            blank[3] = 0;
            return 0;
        }
        if (l->held == HEAD) return -1;
        ssize_t n = take(l, l->head + l->held, HEAD - l->held);
        if (n <= 0) return -1;
        l->held += (size_t)n;
    }
}

/* Copies a header's value out of l->head, or returns NULL. */
static char *header(struct link *l, const char *name, char *value, size_t size) {
    char *at = strcasestr(l->head, name);
    if (!at) return NULL;
    at += strlen(name) + strspn(at + strlen(name), ": ");
    snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static long long body_size(struct link *l) {
    char value[32];
    return header(l, "\r\ncontent-length:", value, sizeof value) ? atoll(value) : 0;
}

static int discard(struct link *l, long long size) {
    static __thread char scratch[BLOCK];
    long long had = least(size, (long long)(l->held - l->end));
    l->end += (size_t)had, size -= had;
    while (size > 0) {
        size_t most = (size_t)least(size, BLOCK);
        /* MSG_TRUNC on TCP throws away without copying (tcp(7)). */
        ssize_t n = l->ssl ? take(l, scratch, most) : recv(l->fd, scratch, most, MSG_TRUNC);
        if (n <= 0) return -1;
        size -= n;
    }
    return 0;
}

static void quick(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct sockaddr_in loopback(const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

/* The sink */

static int respond(struct link *l, const char *status, const char *headers, const char *body) {
    char out[2048];
    int n = snprintf(out, sizeof out, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
                     strlen(body), strncmp(l->head, "HEAD ", 5) ? body : "");
    return put(l, out, (size_t)n);
}

static int give_blob(struct link *l, const char *path) {
    char out[256];
    const char *s = strstr(path, "/s");
    long long size = s ? atoll(s + 2) : 0;
    int n = snprintf(out, sizeof out,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %lld\r\n\r\n", size);
    return put(l, out, (size_t)n) || put_zeros(l, size);
}

static int answer(struct link *l) {
    static const char *manifest =
        "Content-Type: application/vnd.oci.image.manifest.v1+json\r\nDocker-Content-Digest: "
        "sha256:bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f\r\n";
    char method[8], path[4096], headers[4200];
    if (sscanf(l->head, "%7s %4095s", method, path) != 2 || discard(l, body_size(l))) return -1;
    if (!strcmp(method, "POST")) {
        snprintf(headers, sizeof headers, "Location: %.1024s1\r\n", path);
        return respond(l, "202 Accepted", headers, "");
    }
    if (!strcmp(method, "PUT")) return respond(l, "201 Created", "", "");
    if (strstr(path, "/auth/"))
        return respond(l, "200 OK", "Content-Type: application/json\r\n", "{\"token\":\"bench\",\"expires_in\":3600}");
    if (strstr(path, "/manifests/")) return respond(l, "200 OK", manifest, "{\"schemaVersion\":2}");
    if (strstr(path, "/blobs/")) return give_blob(l, path);
    return respond(l, "404 Not Found", "", "");
}

static void *serve(void *argument) {
    struct link *l = argument;
    if (!l->ssl || SSL_accept(l->ssl) == 1)
        while (!read_head(l) && !answer(l)) continue;
    SSL_free(l->ssl);
    close(l->fd);
    free(l);
    return NULL;
}

static void sink(const char *port) {
    struct sockaddr_in here = loopback(port);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 512)) die("listen");
    for (;;) {
        pthread_t thread;
        struct link *l = calloc(1, sizeof *l);
        if (!l || (l->fd = accept(listener, NULL, NULL)) < 0) die("accept");
        quick(l->fd);
        if (tls && (!(l->ssl = SSL_new(tls)) || !SSL_set_fd(l->ssl, l->fd))) die("TLS");
        if (pthread_create(&thread, NULL, serve, l)) die("thread");
        pthread_detach(thread);
    }
}

/* The client */

struct job {
    const char *port, *authorization, *repository, *digest;
    long long size;
    int sends;
    pthread_barrier_t *ready;
    double begun, ended;
    char problem[512];
};

static int ask(struct link *l, struct job *j, const char *method, const char *path, long long size, const char *wanted) {
    char out[8192];
    int n = snprintf(out, sizeof out, "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nContent-Length: %lld\r\n\r\n",
                     method, path, j->authorization, size);
    int unsent = put(l, out, (size_t)n) || put_zeros(l, size);
    /* Whoever answers early says why. */
    if (read_head(l)) snprintf(j->problem, sizeof j->problem, "%s: the connection broke", method);
    else if (unsent || strncmp(l->head + 9, wanted, 3)) snprintf(j->problem, sizeof j->problem, "%s: %.200s", method, l->head);
    return j->problem[0] ? -1 : 0;
}

static void transfer(struct link *l, struct job *j) {
    char path[4096], location[3072];
    snprintf(path, sizeof path, "/v2/%s/blobs/%s", j->repository, j->digest);
    if (!j->sends) {
        if (ask(l, j, "GET", path, 0, "200")) return;
        if (body_size(l) != j->size || discard(l, j->size)) snprintf(j->problem, sizeof j->problem, "GET: cut short");
        return;
    }
    snprintf(path, sizeof path, "/v2/%s/blobs/uploads/", j->repository);
    if (ask(l, j, "POST", path, 0, "202") || discard(l, body_size(l))) return;
    if (!header(l, "\r\nlocation:", location, sizeof location)) {
        snprintf(j->problem, sizeof j->problem, "POST: no Location");
        return;
    }
    const char *from = strncmp(location, "http", 4) ? location : strchr(strstr(location, "//") + 2, '/');
    snprintf(path, sizeof path, "%s%cdigest=%s", from, strchr(from, '?') ? '&' : '?', j->digest);
    ask(l, j, "PUT", path, j->size, "201");
}

static void *work(void *argument) {
    struct job *j = argument;
    struct link *l = calloc(1, sizeof *l);
    struct sockaddr_in there = loopback(j->port);
    l->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(l->fd, (struct sockaddr *)&there, sizeof there)) die("connect");
    quick(l->fd);
    if (tls && (!(l->ssl = SSL_new(tls)) || !SSL_set_fd(l->ssl, l->fd) || SSL_connect(l->ssl) != 1)) die("TLS");
    pthread_barrier_wait(j->ready);
    j->begun = now();
    transfer(l, j);
    j->ended = now();
    SSL_free(l->ssl);
    close(l->fd);
    free(l);
    return NULL;
}

static int run(struct job pattern, int count) {
    struct job *jobs = calloc((size_t)count, sizeof *jobs);
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    pthread_barrier_t ready;
    double begun = 0, ended = 0;
    pthread_barrier_init(&ready, NULL, (unsigned)count);
    for (int i = 0; i < count; i++) {
        jobs[i] = pattern;
        jobs[i].ready = &ready;
        if (pthread_create(&threads[i], NULL, work, &jobs[i])) die("thread");
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        if (jobs[i].problem[0]) {
            fprintf(stderr, "%s\n", jobs[i].problem);
            return 1;
        }
        if (!i || jobs[i].begun < begun) begun = jobs[i].begun;
        if (jobs[i].ended > ended) ended = jobs[i].ended;
    }
    printf("%.6f\n", ended - begun);
    return 0;
}

static SSL_CTX *context(const SSL_METHOD *method) {
    SSL_CTX *made = SSL_CTX_new(method);
    if (!made) die("TLS");
    SSL_CTX_set_read_ahead(made, 1); /* several records with one system call */
    SSL_CTX_set_default_read_buffer_len(made, 256 << 10);
    return made;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    zeros_file = memfd_create("zeros", 0);
    if (zeros_file < 0 || write(zeros_file, zeros, BLOCK) != BLOCK) die("memfd");
    if (argc >= 3 && !strcmp(argv[1], "sink")) {
        if (argc == 5) {
            tls = context(TLS_server_method());
            if (SSL_CTX_use_certificate_chain_file(tls, argv[3]) != 1 ||
                SSL_CTX_use_PrivateKey_file(tls, argv[4], SSL_FILETYPE_PEM) != 1) die("certificate");
        }
        sink(argv[2]);
    }
    if (argc == 9 && (!strcmp(argv[1], "send") || !strcmp(argv[1], "fetch"))) {
        if (!strcmp(argv[3], "tls")) tls = context(TLS_client_method());
        struct job job = {.port = argv[2], .authorization = argv[4], .repository = argv[5], .digest = argv[6]};
        job.size = atoll(argv[7]);
        job.sends = argv[1][0] == 's';
        return run(job, atoi(argv[8]));
    }
    fprintf(stderr, "load sink PORT [CERTIFICATE KEY] | load send|fetch PORT plain|tls AUTHORIZATION REPOSITORY DIGEST "
                    "BYTES CONNECTIONS\n");
    return 2;
}
