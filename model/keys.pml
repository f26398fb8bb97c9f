/* Rules 1 and 2: a key that was made is found everywhere, is made once, and does not come back.
 *
 * One id. Request A makes a key with it, request B is another request with the same id, request D destroys what is
 * there. Of two proxies one has two copies of requests on the way, the other one; they send again and again, to any of
 * three nodes, and copies overtake each other, arrive late, or never. The store is linearizable; a node that cannot read
 * it does not take the step that needs it. A node's memory is behind the store for as long as it likes, and empty after
 * a restart.
 *
 * Property 1: after A was answered, nobody says KEY_NOT_FOUND before a destroy is asked for.
 * Property 4: what was destroyed is never there again, and nobody is told so.
 * Property 6: all answers to A speak of the same key; A and B are never both told that theirs was made.
 */
#define ABSENT 0
#define OF_A 1
#define OF_B 2
#define TOMB 3

#define COPIES 3 /* 0 and 1 at one proxy, 2 at the other */
#define NONE 0
#define ASKS_A OF_A
#define ASKS_B OF_B
#define ASKS_D 3
#define MAKING 4 /* + ASKS_A or ASKS_B: a node that had no such key is making it; which one, does not matter */

byte store = ABSENT;
bit edition; /* which making of the key the store has: a second one has other key material */
bool was_destroyed;

byte memory[3] = ABSENT;
bit known[3]; /* the edition that is in memory */

byte copy[COPIES] = NONE;
bool late[COPIES]; /* it was sent after the destruction was answered */

byte told = ABSENT; /* whose making was answered OK */
bit told_edition;
bool destroy_asked;
bool destroy_told;

#define HAS_NOT(n) (memory[n] == ABSENT || memory[n] == TOMB)

inline take_row(n) {
    memory[n] = store; known[n] = edition
}

/* Node n has the row in memory: the digest decides. */
inline answer_create(c, who, n) {
    if
    :: memory[n] == TOMB || memory[n] == ABSENT -> skip /* KEY_NOT_FOUND: it is destroyed */
#ifdef MUTANT_DIGEST_IS_NOT_COMPARED
    :: else ->
#else
    :: memory[n] == who ->
#endif
        assert(!late[c]);                                            /* property 4 */
        assert(told == ABSENT || told == who);                       /* property 6 */
        assert(told == ABSENT || told_edition == known[n]);
        told = who; told_edition = known[n]
#ifndef MUTANT_DIGEST_IS_NOT_COMPARED
    :: else -> skip /* KEY_EXISTS */
#endif
    fi;
    copy[c] = NONE; late[c] = 0
}

inline choose(v, last) {
    v = 0;
    do
    :: v < last -> v++
    :: break
    od
}

active proctype whole() {
    byte c, n, who;

    do
    /* ---- the proxies send, and send again; a copy is lost */
    :: atomic {
        choose(c, COPIES - 1);
        if
        :: copy[c] == NONE -> copy[c] = ASKS_A; late[c] = destroy_told
        :: copy[c] == NONE -> copy[c] = ASKS_B; late[c] = destroy_told
        :: copy[c] == NONE && told != ABSENT -> copy[c] = ASKS_D; destroy_asked = 1
        :: copy[c] != NONE -> copy[c] = NONE; late[c] = 0
        fi;
        c = 0
    }
    /* ---- a copy arrives, or goes on, at a node */
    :: atomic {
        choose(c, COPIES - 1);
        if
        :: copy[c] == ASKS_A || copy[c] == ASKS_B ->
            choose(n, 2); who = copy[c];
            if
            :: memory[n] == ABSENT -> copy[c] = MAKING + who
#ifdef MUTANT_EXISTING_IDS_ARE_REFUSED
            :: memory[n] != ABSENT ->
                assert(memory[n] != who); /* property 6: the same request was refused */
                copy[c] = NONE; late[c] = 0
#else
            :: memory[n] != ABSENT -> answer_create(c, who, n)
#endif
            fi
        :: copy[c] >= MAKING ->
            choose(n, 2); who = copy[c] - MAKING;
#ifdef MUTANT_MADE_WITHOUT_ABSENT
            edition = (store == ABSENT -> 0 : 1 - edition);
            store = who;
#else
            if
            :: store == ABSENT -> store = who
            :: else
            fi;
#endif
            assert(!was_destroyed || store == TOMB || store == ABSENT); /* property 4 */
            take_row(n);
            answer_create(c, who, n)
        :: copy[c] == ASKS_D ->
            choose(n, 2);
            if
            :: store == OF_A || store == OF_B ->
                was_destroyed = 1;
#ifdef MUTANT_ROW_IS_DELETED
                store = ABSENT
#else
                store = TOMB
#endif
            :: else
            fi;
            take_row(n); copy[c] = NONE
        :: else
        fi;
        c = 0; n = 0; who = 0
    }
    /* ---- nodes: the watch brings the row; killed, and started again */
    :: atomic { choose(n, 2); take_row(n); n = 0 }
    :: atomic { choose(n, 2); memory[n] = ABSENT; known[n] = 0; n = 0 }
    /* ---- the destruction is answered: no node has the key any more (rule 3; leases.pml has the rest of it) */
    :: d_step {
        was_destroyed && !destroy_told && HAS_NOT(0) && HAS_NOT(1) && HAS_NOT(2) -> destroy_told = 1
    }
    /* ---- a use, begun now, at a node */
    :: atomic {
        choose(n, 2);
        if
        :: memory[n] == ABSENT ->
#ifdef MUTANT_MEMORY_DECIDES
            skip;
#else
#ifdef MUTANT_ANY_MEMBER_IS_READ
            if
            :: take_row(n)
            :: skip /* a member that has not heard of the key yet */
            fi;
#else
            take_row(n); /* one linearizable read */
#endif
#endif
        :: else
        fi;
        if
        :: memory[n] == ABSENT || memory[n] == TOMB ->
            assert(told == ABSENT || destroy_asked) /* property 1: KEY_NOT_FOUND */
        :: else
        fi;
        n = 0
    }
    od
}
