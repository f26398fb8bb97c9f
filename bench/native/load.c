/* The clients: N connections with K requests in flight each, closed loop, or open loop with --rate.
 *
 *   load --port P [--connections N] [--in-flight K] [--size BYTES] [--rate R] [--tls FOLDER] [--redis]
 *        [--drain SECONDS] [--opcode N --body FILE] [--handshakes]
 *   load --percentiles           reads numbers of nanoseconds, prints what the histogram makes of them
 *
 * Connects and greets, prints `connected`, then serves commands on standard input: `measure SECONDS` runs load and
 * prints a line of JSON. The end of the input ends it. In the open loop a request's latency counts from the moment
 * when it should have been sent, so that a peer that stands still does not slow down the clock it is measured by.
 *
 * With --body requests carry what is in the file, under that opcode. With --handshakes a run makes no requests: each
 * connection ends when it is greeted, and the next one begins; `requests` counts them.
 *
 * A request's slot is kept in its operation id, which every hop echoes: finding it costs nothing, and an answer is
 * good only if request id and operation id both fit.
 */
#include <sys/timerfd.h>

#include "channel.h"
#include "histogram.h"

enum {
    CONNECTING_AT_ONCE = 32, /* handshakes; more would only time each other out */
    CONNECT_SECONDS = 120,   /* for all connections together; five thousand handshakes take a while */
    DRAIN_SECONDS = 10,      /* for the answers owed at the end of a run, unless --drain says otherwise */
    MAX_DRAIN_SECONDS = 600,
    MAX_CONNECTIONS = 100000,
    MAX_IN_FLIGHT = 65535,   /* a slot number has 16 bits of the operation id */
    MAX_SIZE = 1 << 20,
    MAX_RATE = 100000000, /* requests a second */
    EVENTS = 256,
    SLOT_BITS = 16,
    STATUSES = 1 << 16,
};

struct slot {
    uint64_t started_ns;
    uint32_t request_id; /* 0: free */
};

struct client {
    struct channel channel;
    struct slot *slots;
    uint16_t *free_slots; /* a stack */
    uint32_t free_count, next_id, next_answer;
    uint64_t opened_ns;
    bool greeted, lost;
};

enum state { CONNECTING, IDLE, RUNNING, DRAINING };

static struct {
    unsigned port, connections, in_flight, size, drain_seconds, opcode;
    double rate;
    bool redis, handshakes;
    SSL_CTX *context;
} options = {
    .connections = 64, .in_flight = 1, .size = 128, .drain_seconds = DRAIN_SECONDS, .opcode = OPCODE_SIGN};

static struct client *clients;
static uint8_t *body; /* of every request */
static size_t body_bytes;
static int epoll, timer;
static char input_tag, timer_tag; /* tell epoll's events of them from those of clients */
static enum state state = CONNECTING;
static unsigned opened, greeted, lost, turn;
static uint64_t salt; /* upper bits of the operation ids */

/* One run. */
static struct histogram latencies;
static uint64_t begin_ns, end_ns, last_ns, sent, planned, answered, in_flight, cpu_before_ns;
static uint64_t failed[STATUSES], failures, wrong_id, lost_requests, timer_ns;

static uint64_t cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

/* A Sign of the size asked for: key id, CKM_ECDSA_SHA256, no parameters, data. Nobody between here and the node reads
 * it; where a frame is too small for one, the body is zeros. */
static void make_body(void) {
    static const uint8_t head[] = "\x94\xc4\x10redoubt-bench-id\xcd\x10\x44\xc0\xc6";
    size_t head_bytes = sizeof head - 1;
    body_bytes = options.size > HEADER_BYTES ? options.size - HEADER_BYTES : 0;
    body = calloc(1, body_bytes + 1);
    if (!body) die("out of memory for a body of %zu bytes", body_bytes);
    if (body_bytes < head_bytes + 4) return;
    memcpy(body, head, head_bytes);
    put_number(body + head_bytes, body_bytes - head_bytes - 4, 4);
}

/* Send what is in a file instead: a Sign that a node can do, say. */
static void read_body(const char *path) {
    FILE *file = fopen(path, "rb");
    body = malloc(MAX_SIZE);
    if (!file || !body) die("%s: %s", path, strerror(errno));
    body_bytes = fread(body, 1, MAX_SIZE, file);
    fclose(file);
}

static void append_redis(struct buffer *out, uint32_t id) {
    char head[96];
    size_t value = options.size > 64 ? options.size - 48 : 16; /* what the words around it leave */
    int length = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$8\r\n%08x\r\n$%zu\r\n%08x", id, value, id);
    append_bytes(out, head, (size_t)length);
    memset(buffer_room(out, value), 'x', value);
    out->end += value - 8;
    append_bytes(out, "\r\n", 2);
}

static void append_request(struct client *client, uint64_t started_ns) {
    uint32_t id = client->next_id++;
    if (!client->next_id) client->next_id = 1;
    /* twemproxy keeps the order, so the place in it is the slot. */
    uint32_t index = options.redis ? id % options.in_flight : client->free_slots[client->free_count - 1];
    client->free_count--;
    client->slots[index] = (struct slot){started_ns, id};
    if (options.redis) {
        append_redis(&client->channel.out, id);
    } else {
        struct header header = {
            .kind = REQUEST, .request_id = id, .opcode = (uint16_t)options.opcode,
            .operation_id = salt << SLOT_BITS | index};
        append_frame(&client->channel.out, header, body, body_bytes);
    }
    sent++;
    in_flight++;
}

static void lose(struct client *client) {
    if (options.handshakes) die("a connection ended before WELCOME");
    if (state == CONNECTING) die("connection %u of %u ended before WELCOME", greeted + 1, options.connections);
    unsigned owed = options.in_flight - client->free_count;
    lost_requests += owed;
    in_flight -= owed;
    client->free_count = options.in_flight;
    memset(client->slots, 0, options.in_flight * sizeof *client->slots);
    client->lost = true;
    lost++;
    channel_close(&client->channel);
}

static void flush(struct client *client) {
    if (!client->lost && !channel_flush(&client->channel, epoll, client)) lose(client);
}

/* Put new requests in place of those answered, as far as the run goes on. */
static void refill(struct client *client, uint64_t now) {
    if (state != RUNNING || options.rate > 0 || client->lost || options.handshakes) return;
    while (client->free_count) append_request(client, now);
}

/* Open loop: send what is due by now; what finds no room stays due, and its latency grows meanwhile. */
static void send_due(uint64_t now) {
    double elapsed_s = (double)((now < end_ns ? now : end_ns) - begin_ns) / 1e9;
    planned = (uint64_t)(elapsed_s * options.rate);
    for (unsigned full = 0; sent < planned && full < options.connections;) {
        struct client *client = &clients[turn++ % options.connections];
        if (client->lost || !client->free_count) {
            full++;
            continue;
        }
        full = 0;
        append_request(client, begin_ns + (uint64_t)((double)(sent + 1) / options.rate * 1e9));
        flush(client);
    }
}

/* ---- answers --------------------------------------------------------------------------------------------------- */

/* Note an answer; false when it is to no request. */
static bool take_answer(struct client *client, uint32_t index, uint32_t id, uint16_t status, uint64_t now) {
    if (!id || index >= options.in_flight || client->slots[index].request_id != id) {
        wrong_id++;
        return false;
    }
    struct slot *slot = &client->slots[index];
    if (status) {
        failed[status]++;
        failures++;
    } else {
        histogram_record(&latencies, now > slot->started_ns ? now - slot->started_ns : 0);
    }
    slot->request_id = 0;
    client->free_slots[client->free_count++] = (uint16_t)index;
    in_flight--;
    answered++;
    last_ns = now;
    return true;
}

static bool take_welcome(struct client *client, const uint8_t *at, const uint8_t *stop) {
    uint64_t version, max_frame, max_in_flight;
    if (client->greeted || at == stop || (*at++ & 0xf0) != 0x90) return false;
    if (!unpack_number(&at, stop, &version) || !unpack_number(&at, stop, &max_frame) ||
        !unpack_number(&at, stop, &max_in_flight))
        return false;
    if (max_in_flight < options.in_flight)
        die("the peer takes %u requests in flight on a connection, not %u", (unsigned)max_in_flight, options.in_flight);
    client->greeted = true;
    greeted++;
    return true;
}

static bool take_frame(struct client *client, const uint8_t *frame, size_t whole, uint64_t now) {
    struct header header = read_header(frame);
    switch (header.kind) {
    case WELCOME:
        return take_welcome(client, frame + HEADER_BYTES, frame + whole);
    case RESPONSE:
        if (header.operation_id >> SLOT_BITS != salt) header.request_id = 0;
        return take_answer(client, header.operation_id & MAX_IN_FLIGHT, header.request_id, header.status, now);
    case PING:
        append_frame(&client->channel.out, (struct header){.kind = PONG, .request_id = header.request_id},
                     "\x95\xc4\x00\x00\x00\x00\x00", 7);
        return true;
    default:
        return header.kind == GOAWAY; /* its end is seen soon enough */
    }
}

static bool take_frames(struct client *client, uint64_t now) {
    struct buffer *in = &client->channel.in;
    long whole;
    while ((whole = complete_frame(in)) > 0) {
        if (!take_frame(client, buffer_head(in), (size_t)whole, now)) return false;
        buffer_take(in, (size_t)whole);
    }
    return whole == 0;
}

/* A redis string whose first eight bytes are the id, in the order of the requests; the first one is the greeting. */
static bool take_strings(struct client *client, uint64_t now) {
    struct buffer *in = &client->channel.in;
    while (buffer_length(in)) {
        const uint8_t *at = buffer_head(in), *end = memchr(at, '\n', buffer_length(in));
        if (*at != '$') return false;
        if (!end) return buffer_length(in) < 32;
        size_t value = strtoul((const char *)at + 1, NULL, 10), head = (size_t)(end - at) + 1;
        if (value < 8 || value > MAX_SIZE) return false;
        if (buffer_length(in) < head + value + 2) return true;
        char hex[9] = {0};
        memcpy(hex, at + head, 8);
        uint32_t id = (uint32_t)strtoul(hex, NULL, 16), expected = client->next_answer++;
        if (!client->next_answer) client->next_answer = 1;
        if (!expected) {
            client->greeted = true;
            greeted++;
        } else if (!take_answer(client, expected % options.in_flight, id == expected ? id : 0, 0, now)) {
            return false;
        }
        buffer_take(in, head + value + 2);
    }
    return true;
}

static void next_handshake(struct client *client);

static void serve(struct client *client) {
    bool alive = channel_read(&client->channel);
    uint64_t now = now_ns();
    if (alive) alive = options.redis ? take_strings(client, now) : take_frames(client, now);
    if (!alive) {
        lose(client);
        return;
    }
    if (options.handshakes && state != CONNECTING && client->greeted) {
        next_handshake(client);
        return;
    }
    refill(client, now);
    flush(client);
}

/* ---- connecting ------------------------------------------------------------------------------------------------ */

static void greet(struct client *client) {
    if (options.redis) {
        append_redis(&client->channel.out, 0);
        return;
    }
    struct buffer hello = {0};
    append_bytes(&hello, "\x95", 1);
    pack_number(&hello, PROTOCOL_VERSION);
    pack_number(&hello, PROTOCOL_VERSION);
    pack_number(&hello, MAX_FRAME_BYTES);
    /* As the client library asks. Asking for no more than K would put every client at its limit with each request,
     * and measure the peer's way of pausing those. */
    pack_number(&hello, options.in_flight > DEFAULT_MAX_IN_FLIGHT ? options.in_flight : DEFAULT_MAX_IN_FLIGHT);
    pack_text(&hello, "bench load");
    append_frame(&client->channel.out, (struct header){.kind = HELLO}, hello.data, hello.end);
    free(hello.data);
}

static void open_client(struct client *client) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)options.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        die("cannot connect to port %u: %s", options.port, strerror(errno));
    if (!client->slots) client->slots = calloc(options.in_flight, sizeof *client->slots);
    if (!client->free_slots) client->free_slots = calloc(options.in_flight, sizeof *client->free_slots);
    if (!client->slots || !client->free_slots) die("out of memory for %u requests in flight", options.in_flight);
    for (unsigned i = 0; i < options.in_flight; i++) client->free_slots[i] = (uint16_t)i;
    client->free_count = options.in_flight;
    client->next_id = 1;
    client->greeted = false;
    client->opened_ns = now_ns();
    channel_open(&client->channel, fd, epoll, client);
    start_tls(&client->channel, options.context, false);
    greet(client);
    flush(client);
}

/* A connection was greeted: count it, and begin the next one while the run lasts. */
static void next_handshake(struct client *client) {
    uint64_t now = now_ns();
    histogram_record(&latencies, now - client->opened_ns);
    channel_close(&client->channel);
    last_ns = now;
    answered++;
    in_flight--;
    if (state != RUNNING) return;
    in_flight++;
    open_client(client);
}

static void go_on_connecting(void) {
    while (opened < options.connections && opened - greeted < CONNECTING_AT_ONCE) open_client(&clients[opened++]);
    if (greeted < options.connections) {
        if (now_ns() > end_ns) die("only %u of %u connections were greeted in time", greeted, options.connections);
        return;
    }
    state = IDLE;
    puts("connected");
    fflush(stdout);
}

/* ---- runs ------------------------------------------------------------------------------------------------------ */

static void start_run(double seconds) {
    memset(&latencies, 0, sizeof latencies);
    memset(failed, 0, sizeof failed);
    failures = wrong_id = lost_requests = sent = planned = answered = timer_ns = 0;
    cpu_before_ns = cpu_ns();
    begin_ns = last_ns = now_ns();
    end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    state = RUNNING;
    for (unsigned i = 0; i < options.connections && options.handshakes; i++) {
        if (clients[i].greeted) channel_close(&clients[i].channel);
        in_flight++;
        open_client(&clients[i]);
    }
    for (unsigned i = 0; i < options.connections && options.rate <= 0 && !options.handshakes; i++) {
        refill(&clients[i], now_ns());
        flush(&clients[i]);
    }
}

static void print_errors(uint64_t unanswered, uint64_t unsent) {
    const char *comma = "";
    const struct {
        const char *name;
        uint64_t count;
    } own[] = {{"wrong_id", wrong_id}, {"lost", lost_requests}, {"unanswered", unanswered}, {"unsent", unsent}};
    printf("\"errors_by_status\": {");
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++) {
        if (!own[i].count) continue;
        printf("%s\"%s\": %llu", comma, own[i].name, (unsigned long long)own[i].count);
        comma = ", ";
    }
    for (unsigned status = 0; status < STATUSES; status++) {
        if (!failed[status]) continue;
        printf("%s\"0x%04x\": %llu", comma, status, (unsigned long long)failed[status]);
        comma = ", ";
    }
    printf("}");
}

static void print_percentiles(void) {
    static const struct {
        const char *name;
        unsigned of_ten_thousand;
    } points[] = {{"p50_ms", 5000}, {"p90_ms", 9000}, {"p99_ms", 9900}, {"p99_9_ms", 9990}};
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++)
        printf("\"%s\": %.6f, ", points[i].name,
               (double)histogram_percentile(&latencies, points[i].of_ten_thousand) / 1e6);
    printf("\"max_ms\": %.6f", (double)latencies.max / 1e6);
}

static void finish_run(uint64_t now) {
    uint64_t unsent = planned > sent ? planned - sent : 0;
    uint64_t bad = failures + lost_requests + in_flight + unsent, errors = bad + wrong_id;
    double seconds = (double)((answered ? last_ns : now) - begin_ns) / 1e9;
    double cpu_share = (double)(cpu_ns() - cpu_before_ns) / (double)(now - begin_ns);
    printf("{\"requests\": %llu, \"errors\": %llu, ", (unsigned long long)(latencies.total + bad),
           (unsigned long long)errors);
    print_errors(in_flight, unsent);
    printf(", \"seconds\": %.6f, \"throughput\": %.3f, ", seconds, seconds > 0 ? (double)latencies.total / seconds : 0);
    print_percentiles();
    printf(", \"cpu_share\": %.4f}\n", cpu_share);
    fflush(stdout);
    if (in_flight) exit(0); /* an answer that is this late would be counted in the next run */
    state = IDLE;
}

static void arm_timer(void) {
    if (options.rate <= 0 || state != RUNNING) return;
    uint64_t next = begin_ns + (uint64_t)((double)(sent + 1) / options.rate * 1e9);
    if (next == timer_ns) return;
    timer_ns = next;
    struct itimerspec at = {.it_value = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Do what the clock asks for; return how long epoll may wait, in milliseconds. */
static int tend(void) {
    uint64_t now = now_ns();
    if (state == CONNECTING) go_on_connecting();
    if (state == IDLE) return -1;
    if (options.rate > 0 && state != CONNECTING) send_due(now);
    if (state == RUNNING && (now >= end_ns || lost == options.connections)) state = DRAINING;
    bool done = !in_flight && (sent >= planned || lost == options.connections);
    if (state == DRAINING && (done || now >= end_ns + options.drain_seconds * 1000000000ull)) {
        finish_run(now);
        return -1;
    }
    arm_timer();
    uint64_t until = state == DRAINING || end_ns <= now ? 100000000u : end_ns - now;
    return (int)(until / 1000000u) + 1;
}

static void read_command(void) {
    char line[64] = {0}, *end;
    for (size_t used = 0; !used || line[used - 1] != '\n'; used++)
        if (used == sizeof line - 1 || read(STDIN_FILENO, line + used, 1) != 1) exit(0);
    double seconds = strncmp(line, "measure ", 8) ? 0 : strtod(line + 8, &end);
    if (state != IDLE || seconds <= 0) die("`measure SECONDS` is the only command, one at a time");
    if (lost) die("%u connections are lost", lost);
    start_run(seconds);
}

/* ---- the program ----------------------------------------------------------------------------------------------- */

static unsigned number(const char *word, unsigned least, unsigned most) {
    char *end;
    unsigned long value = strtoul(word, &end, 10);
    if (*end || end == word || value < least || value > most) die("%s is not a number of %u to %u", word, least, most);
    return (unsigned)value;
}

static int print_histogram(void) {
    unsigned long long value;
    while (scanf("%llu", &value) == 1) histogram_record(&latencies, value);
    printf("{");
    print_percentiles();
    printf("}\n");
    return 0;
}

static void take_option(const char *name, const char *value) {
    if (!strcmp(name, "--port"))
        options.port = number(value, 1, 65535);
    else if (!strcmp(name, "--connections"))
        options.connections = number(value, 1, MAX_CONNECTIONS);
    else if (!strcmp(name, "--in-flight"))
        options.in_flight = number(value, 1, MAX_IN_FLIGHT);
    else if (!strcmp(name, "--size"))
        options.size = number(value, HEADER_BYTES, MAX_SIZE);
    else if (!strcmp(name, "--drain"))
        options.drain_seconds = number(value, 1, MAX_DRAIN_SECONDS);
    else if (!strcmp(name, "--rate"))
        options.rate = number(value, 1, MAX_RATE);
    else if (!strcmp(name, "--opcode"))
        options.opcode = number(value, 1, UINT16_MAX);
    else if (!strcmp(name, "--body"))
        read_body(value);
    else if (!strcmp(name, "--tls"))
        options.context = make_context(value, "client", false);
    else
        die("unknown option %s", name);
}

static void parse(int count, char **words) {
    for (int i = 1; i < count; i++) {
        if (!strcmp(words[i], "--redis"))
            options.redis = true;
        else if (!strcmp(words[i], "--handshakes"))
            options.handshakes = true;
        else if (i + 1 < count)
            take_option(words[i], words[i + 1]), i++;
        else
            die("%s needs a value", words[i]);
    }
    if (!options.port) die("load needs --port");
}

static void prepare(void) {
    prepare_process();
    if (!body) make_body();
    salt = now_ns() & 0xffffffffffffu;
    clients = calloc(options.connections, sizeof *clients);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (!clients || epoll < 0 || timer < 0) die("cannot begin: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &input_tag};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0) die("standard input must be a pipe");
    event.data.ptr = &timer_tag;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) < 0) die("epoll_ctl: %s", strerror(errno));
    end_ns = now_ns() + CONNECT_SECONDS * 1000000000ull;
}

static void serve_event(void *tag) {
    uint64_t expirations;
    if (tag == &input_tag) {
        read_command();
    } else if (tag == &timer_tag) {
        if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) die("timer: %s", strerror(errno));
    } else {
        struct client *client = tag;
        if (!client->lost) serve(client);
    }
}

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "--percentiles")) return print_histogram();
    parse(count, words);
    prepare();
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, tend());
        for (int i = 0; i < ready; i++) serve_event(events[i].data.ptr);
    }
}
