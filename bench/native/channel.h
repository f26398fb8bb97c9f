/* A non-blocking connection in an epoll set, plain or TLS. With -DWITH_TLS it needs OpenSSL. */
#ifndef REDOUBT_BENCH_CHANNEL_H
#define REDOUBT_BENCH_CHANNEL_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef void SSL;
typedef void SSL_CTX;
#endif

enum { READ_BYTES = 64 << 10 }; /* at a time; a turn goes on to the next connection after that */

struct channel {
    int fd;
    SSL *ssl;
    struct buffer in, out;
    bool asks_write; /* EPOLLOUT is set */
};

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Thousands of connections need more than the usual 1024; a peer that has gone is an answer, not a signal. */
static inline void prepare_process(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
}

#ifdef WITH_TLS
_Noreturn static inline void die_of_tls(const char *what) {
    char reason[256];
    ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
    die("TLS: %s: %s", what, reason);
}

/* TLS 1.3 with certificates on both sides, from FOLDER/ca.pem, NAME.pem and NAME-key.pem, as in the product. */
static inline SSL_CTX *make_context(const char *folder, const char *name, bool server) {
    char path[3][4096];
    snprintf(path[0], sizeof path[0], "%s/ca.pem", folder);
    snprintf(path[1], sizeof path[1], "%s/%s.pem", folder, name);
    snprintf(path[2], sizeof path[2], "%s/%s-key.pem", folder, name);
    SSL_CTX *context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)) die_of_tls("no context");
    if (!SSL_CTX_load_verify_locations(context, path[0], NULL)) die_of_tls(path[0]);
    if (SSL_CTX_use_certificate_chain_file(context, path[1]) != 1) die_of_tls(path[1]);
    if (SSL_CTX_use_PrivateKey_file(context, path[2], SSL_FILETYPE_PEM) != 1) die_of_tls(path[2]);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"bench", 5);
    return context;
}

static inline void start_tls(struct channel *channel, SSL_CTX *context, bool server) {
    if (!context) return;
    channel->ssl = SSL_new(context);
    if (!channel->ssl || !SSL_set_fd(channel->ssl, channel->fd)) die_of_tls("no connection");
    if (server)
        SSL_set_accept_state(channel->ssl);
    else
        SSL_set_connect_state(channel->ssl);
}

/* Bytes moved; 0: later; -1: the connection is over. */
static inline ssize_t tls_outcome(struct channel *channel, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(channel->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static inline ssize_t tls_read(struct channel *channel, void *to, size_t bytes) {
    ERR_clear_error();
    return tls_outcome(channel, SSL_read(channel->ssl, to, (int)bytes));
}

static inline ssize_t tls_write(struct channel *channel, const void *from, size_t bytes) {
    ERR_clear_error();
    return tls_outcome(channel, SSL_write(channel->ssl, from, (int)bytes));
}

static inline bool tls_has_more(struct channel *channel) { return channel->ssl && SSL_has_pending(channel->ssl); }
static inline bool tls_wants_read(struct channel *channel) { return channel->ssl && SSL_want_read(channel->ssl); }
static inline void tls_free(struct channel *channel) { SSL_free(channel->ssl); }
#else
static inline SSL_CTX *make_context(const char *folder, const char *name, bool server) {
    (void)name, (void)server;
    die("built without TLS, so --tls %s cannot be had; install the OpenSSL headers", folder);
}
static inline void start_tls(struct channel *channel, SSL_CTX *context, bool server) {
    (void)channel, (void)context, (void)server;
}
static inline ssize_t tls_read(struct channel *channel, void *to, size_t bytes) {
    (void)channel, (void)to, (void)bytes;
    return -1;
}
static inline ssize_t tls_write(struct channel *channel, const void *from, size_t bytes) {
    (void)channel, (void)from, (void)bytes;
    return -1;
}
static inline bool tls_has_more(struct channel *channel) { return (void)channel, false; }
static inline bool tls_wants_read(struct channel *channel) { return (void)channel, false; }
static inline void tls_free(struct channel *channel) { (void)channel; }
#endif

static inline ssize_t plain_outcome(ssize_t result, bool reading) {
    if (result > 0) return result;
    if (result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
    return reading || result < 0 ? -1 : 0;
}

/* Read what there is, up to a limit a turn; false when the connection is over. */
static inline bool channel_read(struct channel *channel) {
    size_t total = 0;
    ssize_t got;
    do {
        uint8_t *room = buffer_room(&channel->in, READ_BYTES);
        if (channel->ssl)
            got = tls_read(channel, room, READ_BYTES);
        else
            got = plain_outcome(recv(channel->fd, room, READ_BYTES, 0), true);
        if (got > 0) {
            channel->in.end += (size_t)got;
            total += (size_t)got;
        }
        /* What TLS holds back is not seen by epoll, so it is read now. */
    } while (got > 0 && tls_has_more(channel));
    return got >= 0 || total > 0; /* the end is seen again in the next turn, after what came before it */
}

/* Write what can be written now, and ask epoll for the rest; false when the connection is over. */
static inline bool channel_flush(struct channel *channel, int epoll, void *tag) {
    ssize_t put = 1;
    while (buffer_length(&channel->out) && put > 0) {
        size_t left = buffer_length(&channel->out);
        if (channel->ssl)
            put = tls_write(channel, buffer_head(&channel->out), left);
        else
            put = plain_outcome(send(channel->fd, buffer_head(&channel->out), left, MSG_NOSIGNAL), false);
        if (put > 0) buffer_take(&channel->out, (size_t)put);
    }
    if (put < 0) return false;
    /* During a handshake TLS may have to read before it can write. */
    bool asks = buffer_length(&channel->out) && !tls_wants_read(channel);
    if (asks != channel->asks_write) {
        struct epoll_event event = {.events = EPOLLIN | (asks ? EPOLLOUT : 0), .data.ptr = tag};
        if (epoll_ctl(epoll, EPOLL_CTL_MOD, channel->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
        channel->asks_write = asks;
    }
    return true;
}

static inline void channel_open(struct channel *channel, int fd, int epoll, void *tag) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *channel = (struct channel){.fd = fd};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
}

static inline void channel_close(struct channel *channel) {
    if (channel->ssl) tls_free(channel);
    close(channel->fd);
    free(channel->in.data);
    free(channel->out.data);
    *channel = (struct channel){.fd = -1};
}

#endif
