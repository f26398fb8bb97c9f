/* A PKCS#11 module around another one, whose bad days are written in a file.
 *
 * The library FOLDER/NAME.so reads FOLDER/NAME.so.script at each call, so a test changes the weather while nodes run.
 * The real module is the one that REAL_MODULE names (-DREAL_MODULE="...") when this is compiled. A line of the script:
 *
 *   FUNCTION return NUMBER      return that CKR value, and do nothing
 *   FUNCTION hang               never return
 *   FUNCTION crash              end the process by SIGSEGV
 *   FUNCTION slow MILLISECONDS  wait, and then do it
 *   C_OpenSession limit NUMBER  CKR_SESSION_COUNT while so many sessions are open
 *   C_GetTokenInfo flags NUMBER set these flags (the PIN's, say) in what the token says of itself
 *
 * and behind it, where it is to be now and then: `every NUMBER`. FUNCTION is a name as in PKCS#11, or `*` for all that
 * work in a session. Numbers are decimal or hexadecimal. Calls that a line concerns are counted in NAME.so.calls.FUNCTION.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long number;
typedef number (*function)(number, number, number, number, number, number, number, number);

struct list {
    unsigned char version[8]; /* two bytes, and room up to the first pointer */
    function functions[68];
};

#define COUNT 68
#define FIRST_WITH_SESSION 12
#define CKR_GENERAL_ERROR 0x05UL
#define CKR_SESSION_COUNT 0xB1UL
#define FLAGS_OFFSET 96 /* of CK_TOKEN_INFO: behind label, manufacturer, model and serial number */
#define OPEN_SESSION 12
#define CLOSE_SESSION 13
#define GET_TOKEN_INFO 6
#define GET_FUNCTION_LIST 3

static const char *const names[COUNT] = {
    "C_Initialize", "C_Finalize", "C_GetInfo", "C_GetFunctionList", "C_GetSlotList", "C_GetSlotInfo",
    "C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo", "C_InitToken", "C_InitPIN", "C_SetPIN",
    "C_OpenSession", "C_CloseSession", "C_CloseAllSessions", "C_GetSessionInfo", "C_GetOperationState",
    "C_SetOperationState", "C_Login", "C_Logout", "C_CreateObject", "C_CopyObject", "C_DestroyObject",
    "C_GetObjectSize", "C_GetAttributeValue", "C_SetAttributeValue", "C_FindObjectsInit", "C_FindObjects",
    "C_FindObjectsFinal", "C_EncryptInit", "C_Encrypt", "C_EncryptUpdate", "C_EncryptFinal", "C_DecryptInit",
    "C_Decrypt", "C_DecryptUpdate", "C_DecryptFinal", "C_DigestInit", "C_Digest", "C_DigestUpdate", "C_DigestKey",
    "C_DigestFinal", "C_SignInit", "C_Sign", "C_SignUpdate", "C_SignFinal", "C_SignRecoverInit", "C_SignRecover",
    "C_VerifyInit", "C_Verify", "C_VerifyUpdate", "C_VerifyFinal", "C_VerifyRecoverInit", "C_VerifyRecover",
    "C_DigestEncryptUpdate", "C_DecryptDigestUpdate", "C_SignEncryptUpdate", "C_DecryptVerifyUpdate",
    "C_GenerateKey", "C_GenerateKeyPair", "C_WrapKey", "C_UnwrapKey", "C_DeriveKey", "C_SeedRandom",
    "C_GenerateRandom", "C_GetFunctionStatus", "C_CancelFunction", "C_WaitForSlotEvent",
};

static struct list *real, ours;
static char path[4096];
static atomic_ulong calls[COUNT], sessions;

static void count(int which) {
    char name[4200];
    snprintf(name, sizeof name, "%s.calls.%s", path, names[which]);
    FILE *file = fopen(name, "a");
    if (file) {
        fputc('.', file);
        fclose(file);
    }
}

/* Do what the script says of this call. Returns 1 where `*returned` is the answer. */
static int bad_day(int which, number *returned, number *flags) {
    char script[4200], line[256], name[64], action[16], every[16];
    number value, nth;
    int answered = 0;
    snprintf(script, sizeof script, "%s.script", path);
    FILE *file = fopen(script, "r");
    if (!file) return 0;
    while (!answered && fgets(line, sizeof line, file)) {
        value = 0, nth = 1;
        int found = sscanf(line, "%63s %15s %li %15s %li", name, action, (long *)&value, every, (long *)&nth);
        if (found < 2 || (strcmp(name, names[which]) && (strcmp(name, "*") || which < FIRST_WITH_SESSION))) continue;
        if (found < 5) sscanf(line, "%*s %*s %15s %li", every, (long *)&nth); /* without a value: `crash every 10` */
        if (nth < 1 || found < 4) nth = nth < 1 || strcmp(every, "every") ? 1 : nth;
        if (++calls[which] % nth) continue;
        count(which);
        if (!strcmp(action, "hang")) {
            fclose(file);
            for (;;) pause();
        } else if (!strcmp(action, "crash")) {
            raise(SIGSEGV);
        } else if (!strcmp(action, "slow")) {
            usleep((useconds_t)(1000 * value));
        } else if (!strcmp(action, "flags")) {
            *flags |= value;
        } else if (!strcmp(action, "limit")) {
            *returned = CKR_SESSION_COUNT;
            answered = sessions >= value;
        } else {
            *returned = value;
            answered = 1;
        }
    }
    fclose(file);
    return answered;
}

static number called(int which, number a, number b, number c, number d, number e, number f, number g, number h) {
    number returned = CKR_GENERAL_ERROR, flags = 0;
    if (bad_day(which, &returned, &flags)) return returned;
    returned = real->functions[which](a, b, c, d, e, f, g, h);
    if (returned) return returned;
    if (which == OPEN_SESSION) sessions++;
    if (which == CLOSE_SESSION) sessions--;
    if (which == GET_TOKEN_INFO) {
        number told;
        memcpy(&told, (char *)b + FLAGS_OFFSET, sizeof told);
        told |= flags;
        memcpy((char *)b + FLAGS_OFFSET, &told, sizeof told);
    }
    return 0;
}

/* No function of PKCS#11 has more than eight arguments; those that a caller did not give are passed on as they lie. */
#define ONE(n)                                                                                                         \
    static number call_##n(number a, number b, number c, number d, number e, number f, number g, number h) {           \
        return called(n, a, b, c, d, e, f, g, h);                                                                      \
    }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
ONE(0) ONE(1) ONE(2) ONE(3) ONE(4) ONE(5) ONE(6) ONE(7) ONE(8) ONE(9)
TEN(1) TEN(2) TEN(3) TEN(4) TEN(5)
ONE(60) ONE(61) ONE(62) ONE(63) ONE(64) ONE(65) ONE(66) ONE(67)
#define NAMES(n)                                                                                                       \
    call_##n##0, call_##n##1, call_##n##2, call_##n##3, call_##n##4, call_##n##5, call_##n##6, call_##n##7,           \
        call_##n##8, call_##n##9
static const function wrappers[COUNT] = {
    call_0, call_1, call_2, call_3, call_4, call_5, call_6, call_7, call_8, call_9, NAMES(1), NAMES(2), NAMES(3),
    NAMES(4), NAMES(5), call_60, call_61, call_62, call_63, call_64, call_65, call_66, call_67,
};

number C_GetFunctionList(struct list **list) {
    Dl_info where;
    void *library = dlopen(REAL_MODULE, RTLD_NOW | RTLD_LOCAL);
    if (!library || !dladdr((void *)C_GetFunctionList, &where)) return CKR_GENERAL_ERROR;
    number (*get)(struct list **) = (number(*)(struct list **))dlsym(library, "C_GetFunctionList");
    if (!get || get(&real)) return CKR_GENERAL_ERROR;
    snprintf(path, sizeof path, "%s", where.dli_fname);
    memcpy(&ours, real, sizeof ours);
    memcpy(ours.functions, wrappers, sizeof wrappers);
    ours.functions[GET_FUNCTION_LIST] = real->functions[GET_FUNCTION_LIST];
    *list = &ours;
    return 0;
}
