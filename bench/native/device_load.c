/* What a PKCS#11 token does by itself: N threads, each in a session of its own, sign one digest again and again.
 *
 *   device_load MODULE TOKEN-LABEL rsa-2048|ec-p256 THREADS     the user's PIN is the first line of standard input
 *
 * Makes a key pair of session objects, prints `ready`, then serves commands on standard input: `measure SECONDS` has
 * all threads sign for so long and prints a line of JSON. The end of the input ends it. Types and numbers are those of
 * PKCS#11 2.40, in which every number is an unsigned long.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long number;

struct mechanism {
    number type;
    void *parameter;
    number bytes;
};

struct attribute {
    number type;
    const void *value;
    number bytes;
};

struct initialize {
    void *callbacks[4];
    number flags;
    void *reserved;
};

struct token { /* CK_TOKEN_INFO: only its label is looked at */
    char label[32];
    char rest[256];
};

/* CK_FUNCTION_LIST, and the places in it. */
struct functions {
    void *version;
    void (*at[68])(void);
};
enum place {
    INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18,
    SIGN_INIT = 42, SIGN = 43, GENERATE_KEY_PAIR = 59,
};
typedef number (*initialize_call)(struct initialize *);
typedef number (*get_slot_list_call)(unsigned char, number *, number *);
typedef number (*get_token_info_call)(number, struct token *);
typedef number (*open_session_call)(number, number, void *, void *, number *);
typedef number (*login_call)(number, number, const char *, number);
typedef number (*sign_init_call)(number, struct mechanism *, number);
typedef number (*sign_call)(number, const uint8_t *, number, uint8_t *, number *);
typedef number (*generate_call)(number, struct mechanism *, const struct attribute *, number, const struct attribute *,
                                number, number *, number *);

enum { OS_LOCKING_OK = 2, SERIAL_SESSION = 4, USER = 1, MAX_SLOTS = 64, MAX_THREADS = 256, MAX_SIGNATURE = 1024 };
enum { CKA_TOKEN = 0x001, CKA_SIGN = 0x108, CKA_MODULUS_BITS = 0x121, CKA_EXPONENT = 0x122, CKA_EC_PARAMS = 0x180 };
enum { RSA_KEY_PAIR = 0x000, RSA_PKCS = 0x001, EC_KEY_PAIR = 0x1040, ECDSA = 0x1041 };

static struct functions *module;
static number slot, private_key, signing;
static unsigned threads;
static number sessions[MAX_THREADS];
static uint64_t signatures[MAX_THREADS], end_ns;
/* DigestInfo of SHA-256, which RSA signs whole; ECDSA signs the 32 bytes at its end. */
static const uint8_t digest_info[51] = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

_Noreturn static void die(const char *form, ...) {
    va_list values;
    va_start(values, form);
    fputs("device_load: ", stderr);
    vfprintf(stderr, form, values);
    fputs("\n", stderr);
    exit(1);
}

static void done(number returned, const char *what) {
    if (returned) die("%s returned %#lx", what, returned);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void load(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    if (!library) die("%s", dlerror());
    number (*get)(struct functions **) = (number(*)(struct functions **))dlsym(library, "C_GetFunctionList");
    if (!get) die("%s is no PKCS#11 module", path);
    done(get(&module), "C_GetFunctionList");
    struct initialize arguments = {.flags = OS_LOCKING_OK};
    done(((initialize_call)module->at[INITIALIZE])(&arguments), "C_Initialize");
}

static void find(const char *label) {
    number slots[MAX_SLOTS], count = MAX_SLOTS;
    char padded[33];
    snprintf(padded, sizeof padded, "%-32s", label);
    done(((get_slot_list_call)module->at[GET_SLOT_LIST])(1, slots, &count), "C_GetSlotList");
    for (number i = 0; i < count; i++) {
        struct token token;
        done(((get_token_info_call)module->at[GET_TOKEN_INFO])(slots[i], &token), "C_GetTokenInfo");
        slot = slots[i];
        if (!memcmp(token.label, padded, sizeof token.label)) return;
    }
    die("there is no token %s", label);
}

static void log_in(void) {
    char pin[256] = {0};
    /* Byte by byte: what follows on the pipe are commands. */
    for (size_t used = 0; read(STDIN_FILENO, pin + used, 1) == 1 && pin[used] != '\n'; used++)
        if (used == sizeof pin - 2) die("the PIN is too long");
    pin[strcspn(pin, "\n")] = 0;
    for (unsigned i = 0; i < threads; i++)
        done(((open_session_call)module->at[OPEN_SESSION])(slot, SERIAL_SESSION, NULL, NULL, &sessions[i]),
             "C_OpenSession");
    done(((login_call)module->at[LOGIN])(sessions[0], USER, pin, strlen(pin)), "C_Login");
}

static void make_key(const char *type) {
    static const uint8_t p256[] = "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", exponent[] = {1, 0, 1}, no = 0, yes = 1;
    static const number bits = 2048;
    int rsa = !strcmp(type, "rsa-2048");
    if (!rsa && strcmp(type, "ec-p256")) die("%s is neither rsa-2048 nor ec-p256", type);
    struct attribute of_rsa[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}, {CKA_EXPONENT, exponent, 3}, {CKA_TOKEN, &no, 1}};
    struct attribute of_ec[] = {{CKA_EC_PARAMS, p256, sizeof p256 - 1}, {CKA_TOKEN, &no, 1}};
    struct attribute private[] = {{CKA_TOKEN, &no, 1}, {CKA_SIGN, &yes, 1}};
    struct mechanism way = {.type = rsa ? RSA_KEY_PAIR : EC_KEY_PAIR};
    number public_key;
    signing = rsa ? RSA_PKCS : ECDSA;
    done(((generate_call)module->at[GENERATE_KEY_PAIR])(sessions[0], &way, rsa ? of_rsa : of_ec, rsa ? 3 : 2, private,
                                                        2, &public_key, &private_key),
         "C_GenerateKeyPair");
}

static void *sign(void *which) {
    unsigned i = (unsigned)(uintptr_t)which;
    sign_init_call init = (sign_init_call)module->at[SIGN_INIT];
    sign_call make = (sign_call)module->at[SIGN];
    struct mechanism way = {.type = signing};
    size_t bytes = signing == ECDSA ? 32 : sizeof digest_info;
    uint8_t signature[MAX_SIGNATURE];
    while (now_ns() < end_ns) {
        number room = sizeof signature;
        done(init(sessions[i], &way, private_key), "C_SignInit");
        done(make(sessions[i], digest_info + sizeof digest_info - bytes, bytes, signature, &room), "C_Sign");
        signatures[i]++;
    }
    return NULL;
}

static void measure(double seconds) {
    pthread_t running[MAX_THREADS];
    uint64_t begin_ns = now_ns(), all = 0;
    memset(signatures, 0, sizeof signatures);
    end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&running[i], NULL, sign, (void *)(uintptr_t)i)) die("there is no room for a thread");
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(running[i], NULL);
        all += signatures[i];
    }
    printf("{\"signatures\": %lu, \"throughput\": %.1f}\n", (number)all, (double)all * 1e9 / (double)(now_ns() - begin_ns));
    fflush(stdout);
}

int main(int count, char **words) {
    char line[64];
    if (count != 5) die("it needs MODULE TOKEN-LABEL KEY-TYPE THREADS");
    threads = (unsigned)strtoul(words[4], NULL, 10);
    if (!threads || threads > MAX_THREADS) die("%s is not a number of 1 to %d", words[4], MAX_THREADS);
    load(words[1]);
    find(words[2]);
    log_in();
    make_key(words[3]);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        double seconds = strncmp(line, "measure ", 8) ? 0 : strtod(line + 8, NULL);
        if (seconds <= 0) die("`measure SECONDS` is the only command");
        measure(seconds);
    }
    return 0;
}
