/* Frames of the wire protocol (docs/protocol.md), as far as load and echo need them, and growing buffers. */
#ifndef REDOUBT_BENCH_WIRE_H
#define REDOUBT_BENCH_WIRE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER_BYTES = 32,
    LENGTH_FIELD_BYTES = 4,
    MIN_LENGTH = HEADER_BYTES - LENGTH_FIELD_BYTES,
    MAX_FRAME_BYTES = 1 << 20, /* of the length field; the protocol's default */
    DEFAULT_MAX_IN_FLIGHT = 256, /* of a client's connection; the protocol's default */
    LINK_MAX_IN_FLIGHT = 8192,
    PROTOCOL_VERSION = 1,
};

enum kind { HELLO = 1, WELCOME, REQUEST, RESPONSE, PING, PONG, GOAWAY, CANCEL, BIND, UNBIND };

enum { OPCODE_CHECK = 0x0004, OPCODE_SIGN = 0x0201, UNKNOWN_OPERATION = 0x0102 };

struct header {
    uint32_t length;
    uint8_t kind;
    uint32_t request_id;
    uint16_t opcode;
    uint16_t status;
    uint64_t operation_id;
};

static inline void put_number(uint8_t *at, uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--, value >>= 8) at[i] = (uint8_t)value;
}

static inline uint64_t get_number(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[i];
    return value;
}

/* Flags, timeout and principal stay 0: neither tool has a use for others. */
static inline void write_header(uint8_t *at, const struct header *header) {
    memset(at, 0, HEADER_BYTES);
    put_number(at, header->length, 4);
    at[4] = PROTOCOL_VERSION;
    at[5] = header->kind;
    put_number(at + 8, header->request_id, 4);
    put_number(at + 20, header->opcode, 2);
    put_number(at + 22, header->status, 2);
    put_number(at + 24, header->operation_id, 8);
}

static inline struct header read_header(const uint8_t *at) {
    return (struct header){
        .length = (uint32_t)get_number(at, 4),
        .kind = at[5],
        .request_id = (uint32_t)get_number(at + 8, 4),
        .opcode = (uint16_t)get_number(at + 20, 2),
        .status = (uint16_t)get_number(at + 22, 2),
        .operation_id = get_number(at + 24, 8),
    };
}

_Noreturn static inline void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Bytes from `start` to `end` are in use; what is before `start` has been taken. */
struct buffer {
    uint8_t *data;
    size_t start, end, capacity;
};

static inline size_t buffer_length(const struct buffer *buffer) { return buffer->end - buffer->start; }

static inline uint8_t *buffer_head(const struct buffer *buffer) { return buffer->data + buffer->start; }

static inline void buffer_take(struct buffer *buffer, size_t bytes) {
    buffer->start += bytes;
    if (buffer->start == buffer->end) buffer->start = buffer->end = 0;
}

/* Make room for so many bytes behind `end`, and return where they go. */
static inline uint8_t *buffer_room(struct buffer *buffer, size_t bytes) {
    if (buffer->capacity - buffer->end < bytes && buffer->start) {
        memmove(buffer->data, buffer_head(buffer), buffer_length(buffer));
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    if (buffer->capacity - buffer->end < bytes) {
        size_t capacity = buffer->capacity ? buffer->capacity : 4096;
        while (capacity - buffer->end < bytes) capacity *= 2;
        buffer->data = realloc(buffer->data, capacity);
        if (!buffer->data) die("out of memory for a buffer of %zu bytes", capacity);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->end;
}

static inline void append_bytes(struct buffer *buffer, const void *bytes, size_t count) {
    memcpy(buffer_room(buffer, count), bytes, count);
    buffer->end += count;
}

static inline void append_frame(struct buffer *buffer, struct header header, const void *body, size_t bytes) {
    header.length = (uint32_t)(MIN_LENGTH + bytes);
    write_header(buffer_room(buffer, HEADER_BYTES + bytes), &header);
    buffer->end += HEADER_BYTES;
    append_bytes(buffer, body, bytes);
}

/* Bytes of the frame at the buffer's head: 0 while it is incomplete, -1 when its header is malformed. */
static inline long complete_frame(const struct buffer *buffer) {
    if (buffer_length(buffer) < HEADER_BYTES) return 0;
    const uint8_t *head = buffer_head(buffer);
    uint64_t length = get_number(head, 4);
    if (length < MIN_LENGTH || length > MAX_FRAME_BYTES || head[4] != PROTOCOL_VERSION) return -1;
    size_t whole = LENGTH_FIELD_BYTES + (size_t)length;
    return buffer_length(buffer) < whole ? 0 : (long)whole;
}

/* MessagePack: unsigned integers and short strings are all that greetings and checks hold. */
static inline void pack_number(struct buffer *buffer, uint64_t value) {
    uint8_t bytes[9] = {0xcf};
    put_number(bytes + 1, value, 8);
    append_bytes(buffer, bytes, sizeof bytes);
}

static inline void pack_text(struct buffer *buffer, const char *text) {
    size_t length = strlen(text);
    if (length > 255) die("a text of %zu bytes is too long", length);
    uint8_t head[2] = {0xd9, (uint8_t)length};
    append_bytes(buffer, head, sizeof head);
    append_bytes(buffer, text, length);
}

/* Read an unsigned integer at *at and move on; false when there is none. */
static inline bool unpack_number(const uint8_t **at, const uint8_t *stop, uint64_t *value) {
    if (*at >= stop) return false;
    uint8_t first = *(*at)++;
    if (first < 0x80) {
        *value = first;
        return true;
    }
    if (first < 0xcc || first > 0xcf) return false;
    int bytes = 1 << (first - 0xcc);
    if (stop - *at < bytes) return false;
    *value = get_number(*at, bytes);
    *at += bytes;
    return true;
}

#endif
