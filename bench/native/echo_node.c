/* Nodes that answer each request with its own body: no cryptography, so that the proxy is what is measured.
 *
 *   echo_node [--window N] [--tls FOLDER] [--redis] [--answer FILE] NAME...
 *
 * All nodes are in one process on one thread. Prints one line of JSON: name -> port. Runs until its standard input
 * ends, so it cannot outlive whoever started it. With --redis it answers SET as twemproxy's servers would, with the
 * value, so that both directions carry about the same bytes as with our protocol. With --answer every request gets the
 * body in the file: what a client that decodes it expects.
 */
#include <sys/random.h>

#include "channel.h"

enum {
    SESSIONS = 2048,        /* operations side by side; an echo never waits */
    DEFAULT_WINDOW = 65536, /* requests; above what any workload has in flight, so that it limits nobody */
    MAX_NODES = 16,
    EVENTS = 256,           /* taken from epoll in one turn */
    BACKLOG = 2048,         /* connections: a workload opens a thousand at once */
    MAX_BULK = 1 << 20,     /* bytes of a redis string */
};

enum what { LISTENER, CONNECTION, STANDARD_INPUT };

struct node {
    enum what what; /* first, as in struct connection: it tells what an event is of */
    const char *name;
    int fd;
    SSL_CTX *context;
    uint64_t completed;
};

struct connection {
    enum what what;
    struct node *node;
    struct channel channel;
};

static struct node nodes[MAX_NODES];
static int node_count, epoll;
static uint32_t window = DEFAULT_WINDOW;
static const char *tls_folder;
static bool redis;
static struct buffer fixed_answer;
static uint8_t boot_id[16];

static void append_welcome(struct buffer *out) {
    struct buffer body = {0};
    append_bytes(&body, "\x94", 1);
    pack_number(&body, PROTOCOL_VERSION);
    pack_number(&body, MAX_FRAME_BYTES);
    pack_number(&body, LINK_MAX_IN_FLIGHT);
    pack_text(&body, "echo node");
    append_frame(out, (struct header){.kind = WELCOME}, body.data, body.end);
    free(body.data);
}

static void append_pong(struct buffer *out, const struct node *node, uint32_t request_id) {
    struct buffer body = {0};
    append_bytes(&body, "\x95\xc4\x10", 3);
    append_bytes(&body, boot_id, sizeof boot_id);
    pack_number(&body, 0); /* nothing waits */
    pack_number(&body, SESSIONS);
    pack_number(&body, window);
    pack_number(&body, node->completed);
    append_frame(out, (struct header){.kind = PONG, .request_id = request_id}, body.data, body.end);
    free(body.data);
}

static void append_answer(struct buffer *out, const struct header *request, const uint8_t *body) {
    struct header answer = *request;
    answer.kind = RESPONSE;
    answer.status = 0;
    if (request->opcode == OPCODE_CHECK) { /* says that it has no deep check: a proxy then leaves it out */
        static const char failure[] = "\x92\xa8" "no CHECK" "\x00";
        answer.status = UNKNOWN_OPERATION;
        append_frame(out, answer, failure, sizeof failure - 1);
        return;
    }
    if (buffer_length(&fixed_answer))
        append_frame(out, answer, fixed_answer.data, fixed_answer.end);
    else
        append_frame(out, answer, body, request->length - MIN_LENGTH);
}

/* Answer all complete frames; false when the peer breaks the protocol. */
static bool answer_frames(struct connection *connection) {
    struct buffer *in = &connection->channel.in, *out = &connection->channel.out;
    long whole;
    while ((whole = complete_frame(in)) > 0) {
        struct header header = read_header(buffer_head(in));
        if (header.kind == REQUEST) {
            append_answer(out, &header, buffer_head(in) + HEADER_BYTES);
            connection->node->completed++;
        } else if (header.kind == HELLO) {
            append_welcome(out);
        } else if (header.kind == PING) {
            append_pong(out, connection->node, header.request_id);
        } /* BIND, UNBIND, CANCEL and GOAWAY change nothing here */
        buffer_take(in, (size_t)whole);
    }
    return whole == 0;
}

/* Read `marker NUMBER \r\n` at *at; 1 done, 0 more bytes needed, -1 malformed. */
static int take_count(const uint8_t **at, const uint8_t *stop, char marker, size_t *count) {
    const uint8_t *end = memchr(*at, '\n', (size_t)(stop - *at));
    if (!end) return stop - *at > 32 ? -1 : 0;
    if (**at != marker) return -1;
    long value = strtol((const char *)*at + 1, NULL, 10);
    if (value < 0 || value > MAX_BULK) return -1;
    *count = (size_t)value;
    *at = end + 1;
    return 1;
}

/* Find the last string of the command at *at, and move on; 1 done, 0 more bytes needed, -1 malformed. */
static int take_command(const uint8_t **at, const uint8_t *stop, const uint8_t **value, size_t *length) {
    const uint8_t *next = *at;
    size_t strings = 0;
    int state = next < stop ? take_count(&next, stop, '*', &strings) : 0;
    *value = next;
    *length = 0;
    for (size_t i = 0; i < strings && state == 1; i++) {
        state = next < stop ? take_count(&next, stop, '$', length) : 0;
        if (state == 1 && (size_t)(stop - next) < *length + 2) state = 0;
        if (state != 1) break;
        *value = next;
        next += *length + 2;
    }
    if (state == 1) *at = next;
    return state;
}

static bool answer_commands(struct connection *connection) {
    struct buffer *in = &connection->channel.in, *out = &connection->channel.out;
    const uint8_t *at = buffer_head(in), *stop = at + buffer_length(in), *value;
    size_t length;
    int state;
    while ((state = take_command(&at, stop, &value, &length)) == 1) {
        char head[32];
        append_bytes(out, head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", length));
        append_bytes(out, value, length);
        append_bytes(out, "\r\n", 2);
        connection->node->completed++;
    }
    buffer_take(in, (size_t)(at - buffer_head(in)));
    return state == 0;
}

static void serve(struct connection *connection) {
    struct channel *channel = &connection->channel;
    bool alive = channel_read(channel);
    if (alive) alive = redis ? answer_commands(connection) : answer_frames(connection);
    if (!alive || !channel_flush(channel, epoll, connection)) {
        channel_close(channel);
        free(connection);
    }
}

static void accept_all(struct node *node) {
    int fd;
    while ((fd = accept4(node->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) die("out of memory for a connection");
        connection->what = CONNECTION;
        connection->node = node;
        channel_open(&connection->channel, fd, epoll, connection);
        start_tls(&connection->channel, node->context, true);
    }
}

static int listen_for(struct node *node) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    node->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (node->fd < 0 || bind(node->fd, (struct sockaddr *)&address, size) < 0 || listen(node->fd, BACKLOG) < 0 ||
        getsockname(node->fd, (struct sockaddr *)&address, &size) < 0)
        die("%s cannot listen: %s", node->name, strerror(errno));
    if (tls_folder) node->context = make_context(tls_folder, node->name, true);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = node};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, node->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
    return ntohs(address.sin_port);
}

static void read_answer(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die("%s: %s", path, strerror(errno));
    fixed_answer.end = fread(buffer_room(&fixed_answer, MAX_BULK), 1, MAX_BULK, file);
    fclose(file);
}

static void parse(int count, char **words) {
    for (int i = 1; i < count; i++) {
        bool more = i + 1 < count;
        if (!strcmp(words[i], "--redis"))
            redis = true;
        else if (!strcmp(words[i], "--window") && more)
            window = (uint32_t)strtoul(words[++i], NULL, 10);
        else if (!strcmp(words[i], "--tls") && more)
            tls_folder = words[++i];
        else if (!strcmp(words[i], "--answer") && more)
            read_answer(words[++i]);
        else if (words[i][0] == '-' || node_count == MAX_NODES)
            die("usage: echo_node [--window N] [--tls FOLDER] [--redis] [--answer FILE] NAME... (at most %d names)", MAX_NODES);
        else
            nodes[node_count++] = (struct node){.what = LISTENER, .name = words[i]};
    }
    if (!node_count || !window) die("echo_node needs the name of a node, and a window above 0");
}

static void serve_events(void) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
        enum what *what = events[i].data.ptr;
        char byte;
        if (*what == LISTENER)
            accept_all((struct node *)what);
        else if (*what == CONNECTION)
            serve((struct connection *)what);
        else if (read(STDIN_FILENO, &byte, 1) <= 0)
            exit(0);
    }
}

int main(int count, char **words) {
    static enum what input = STANDARD_INPUT;
    parse(count, words);
    prepare_process();
    if (getrandom(boot_id, sizeof boot_id, 0) != sizeof boot_id) die("no random bytes for the boot id");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &input};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0) die("standard input must be a pipe");
    for (int i = 0; i < node_count; i++)
        printf("%s\"%s\": %d", i ? ", " : "{", nodes[i].name, listen_for(&nodes[i]));
    puts("}");
    fflush(stdout);
    for (;;) serve_events();
}
