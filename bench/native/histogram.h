/* Latencies in a log-linear histogram: every power of two has 256 buckets, so a percentile is never below the true
 * one and less than one part in 256 above it, in a fixed 120 KiB however many values there are. */
#ifndef REDOUBT_BENCH_HISTOGRAM_H
#define REDOUBT_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    SUB_BITS = 8,
    SUB_BUCKETS = 1 << SUB_BITS,
    MAX_BITS = 42, /* 2^42 ns are over an hour; longer ones count as that */
    BUCKETS = (MAX_BITS - SUB_BITS + 1) * SUB_BUCKETS,
};

struct histogram {
    uint64_t counts[BUCKETS], total, max;
};

static inline unsigned bucket_of(uint64_t value) {
    if (value < SUB_BUCKETS) return (unsigned)value;
    int shift = 63 - __builtin_clzll(value) - SUB_BITS;
    return (unsigned)shift * SUB_BUCKETS + (unsigned)(value >> shift);
}

/* The largest value that falls into the bucket. */
static inline uint64_t bucket_end(unsigned bucket) {
    if (bucket < 2 * SUB_BUCKETS) return bucket;
    unsigned shift = bucket / SUB_BUCKETS - 1;
    return (((uint64_t)bucket % SUB_BUCKETS + SUB_BUCKETS + 1) << shift) - 1;
}

static inline void histogram_record(struct histogram *histogram, uint64_t value) {
    if (value >= (uint64_t)1 << MAX_BITS) value = ((uint64_t)1 << MAX_BITS) - 1;
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
    if (value > histogram->max) histogram->max = value;
}

/* Per mille times ten, so that 99.9 % is a whole number: 9990 of 10000. */
static inline uint64_t histogram_percentile(const struct histogram *histogram, unsigned of_ten_thousand) {
    uint64_t rank = (histogram->total * of_ten_thousand + 9999) / 10000, seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS && histogram->total; bucket++) {
        seen += histogram->counts[bucket];
        if (seen >= rank && seen) return bucket_end(bucket) < histogram->max ? bucket_end(bucket) : histogram->max;
    }
    return 0;
}

#endif
