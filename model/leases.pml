/* Rule 3: who may still serve a key as it was, after a change of it was answered.
 *
 * One key, one change of it (destroy, disable, restrict: anything but create), three nodes, two proxies, the store.
 * The store is one variable, so it is linearizable. It has no quorum, a node is cut off, a message is lost: then a step
 * does not happen. No step ever has to happen, so the search covers each such loss, for any time.
 *
 * Time: a tick passes at any moment. A node's second (how long a contact counts) ends at the latest with the third tick
 * after the contact was begun, and at any moment before; a waiting change's three seconds take three ticks or more.
 * So any clocks are covered that differ less than threefold.
 *
 * By symmetry only node 0 is looked at as the one that serves the old state; any node may be named. So only its contacts
 * take time and grow old by ticks: those of the others are one step and count as long as they like, which allows them
 * more than the rules do; and only node 0 can be marked as out.
 *
 * Without a switch: properties 2 and 3a, nodes are killed, stopped and started.
 * -DMARKS: the same without restarts; nodes known to be out are not waited for.
 *   Without one of its rules: MARK_IS_IGNORED, MARK_COUNTS_AT_ONCE.
 * -DREMOVAL: the same, and an operator has node 0 removed, who may be wrong: it is not off, but cut off. Then answers to
 *   changes do not name it, and what it serves from before them is marked all the same.
 *   Without one of its rules: REMOVED_WITHOUT_A_MARK, REMOVED_NODES_ARE_CURRENT.
 * -DPROXIES: properties 3b and 3c, without restarts: what two proxies do with the answers of a node that is cut off.
 *   Without one of its rules: STRICT_IS_SERVED, FLAG_OF_THE_SENDING, ANSWER_SETTLES_THE_BELIEF, STALE_ANSWERS_PASS.
 * Each MUTANT_... takes one rule away.
 */
#ifdef REMOVAL
#define MARKS
#endif
#define WAIT 3
#define STALE 3 /* age of a contact that does not count any more */

#define DOWN 0
#define REGISTERED 1 /* and has nothing yet */
#define LOADING 2    /* has read the store, and is applying that */
#define SERVING 3
#define STOPPING 4 /* serves nothing any more, and has not said so yet */

#define BIT(n) (1 << (n))
#define ALL 7

/* the store */
bool changed;
byte confirmed; /* nodes that said they have the change */
byte stopped;   /* nodes that said they serve nothing until they have loaded */
#ifdef MARKS
byte mark; /* the mark that node 0 is out: 1 + ticks since it was set; 0: none */
bool removed; /* the registration of node 0 is deleted, and its mark with it */
#endif

/* the nodes */
byte phase[3];
bool has[3];  /* its record is as after the change */
byte age[3];  /* ticks since the contact was begun that counts */
byte look[3]; /* the contact under way: 1 + ticks since it was begun; 0: none */
bool seen[3]; /* what that contact, or the loading, has read */

/* the node where the change waits, whichever it is; it waits anew where the change is sent again */
bool waiting;
byte ticks;
byte need;
byte known_out;
bool begun;

/* what the client was told: OK, or OK_UNCONFIRMED with names; of several answers what all allow */
bool answered;
bool named; /* of those who are named, only whether node 0 is among them */

#ifdef PROXIES
/* one use of the key by node 0, begun after that answer */
#define NONE 0
#define LOOKED_UP 1 /* with the old record */
#define SENT 2      /* on its way, or held by the proxy */
byte use;
bool by; /* which proxy */
bool flagged;
bool strict;   /* the key's policy */
byte believed; /* nodes that this proxy holds to be current */
byte proved;   /* nodes whose PONG told it so */
#endif

/* whose age has a meaning */
#ifdef PROXIES
#define TIMED(n) true
#else
#define TIMED(n) (n == 0)
#endif
#define current(n) (phase[n] == SERVING && age[n] < STALE)

inline tick_node(m) {
    if
    :: phase[m] == SERVING && age[m] < STALE -> age[m]++
    :: else
    fi;
    if
    :: look[m] > 0 && look[m] < STALE -> look[m]++
    :: look[m] == STALE -> look[m] = 0; seen[m] = 0 /* it came too late to count */
    :: else
    fi;
}

inline tick_marks() {
#ifdef MARKS
    mark = (mark > 0 && mark <= WAIT -> mark + 1 : mark)
#else
    skip
#endif
}

inline read_store(m) {
#ifdef MUTANT_ANY_MEMBER_IS_READ
    if
    :: seen[m] = changed
    :: seen[m] = 0 /* from a member that is behind */
    fi
#else
    seen[m] = changed
#endif
}

inline forget(m) {
    has[m] = 0; look[m] = 0; seen[m] = 0; age[m] = 0
}

inline answer(names) {
    named = (answered -> named & names & 1 : names & 1);
    answered = 1; waiting = 0; ticks = 0; need = 0; known_out = 0
}

active proctype whole() {
    byte n;

    d_step {
        phase[0] = SERVING; phase[1] = SERVING; phase[2] = SERVING
    }
#ifdef PROXIES
    if
    :: strict = 0
    :: strict = 1
    fi;
#endif

    do
    /* ---- time */
    :: d_step { tick_node(0); tick_marks(); ticks = (waiting && ticks < WAIT -> ticks + 1 : ticks) }

    /* ---- (b) the nodes */
    :: atomic {
        if
        :: n = 0
        :: n = 1
        :: n = 2
        fi;
        if
        /* a contact: begins, reads, ends */
#if defined(MARKS) && !defined(MUTANT_MARK_IS_IGNORED)
#ifdef MUTANT_REMOVED_NODES_ARE_CURRENT
        :: n == 0 && phase[n] == SERVING && look[n] == 0 && mark == 0 -> look[n] = 1; read_store(n)
#else
        :: n == 0 && phase[n] == SERVING && look[n] == 0 && mark == 0 && !removed -> look[n] = 1; read_store(n)
        :: n == 0 && phase[n] == SERVING && removed -> forget(n); phase[n] = DOWN /* fenced */
#endif
#else
        :: n == 0 && phase[n] == SERVING && look[n] == 0 -> look[n] = 1; read_store(n)
#endif
        :: n != 0 && phase[n] == SERVING && age[n] == STALE -> has[n] = changed; age[n] = 0
        :: phase[n] == SERVING && look[n] > 0 ->
#ifndef MUTANT_CONTACT_WITHOUT_APPLYING
            has[n] = has[n] | seen[n];
#endif
#ifdef MUTANT_AGE_FROM_THE_END
            age[n] = 0;
#else
            age[n] = look[n] - 1;
#endif
            look[n] = 0; seen[n] = 0
        :: phase[n] == SERVING && age[n] < STALE && TIMED(n) -> age[n] = STALE /* its clock is fast, or it has stood still */
        :: phase[n] == SERVING && changed && !has[n] -> has[n] = 1 /* the watch brings it */
#ifdef MUTANT_CONFIRMS_BEFORE_IT_APPLIES
        :: phase[n] == SERVING && (has[n] || seen[n]) && !(confirmed & BIT(n)) -> confirmed = confirmed | BIT(n)
#else
#ifdef MARKS
        :: phase[n] == SERVING && has[n] && !(confirmed & BIT(n)) && !(n == 0 && removed) -> confirmed = confirmed | BIT(n)
#else
        :: phase[n] == SERVING && has[n] && !(confirmed & BIT(n)) -> confirmed = confirmed | BIT(n)
#endif
#endif
#ifdef MARKS
        :: n == 0 && mark == 0 && !removed -> mark = 1 /* a change has waited for it in vain; here even without that */
        :: n == 0 && mark > 0 -> mark = 0 /* the node takes it away, before a contact */
#endif
#if !defined(MARKS) && !defined(PROXIES)
        /* killed */
#ifdef MUTANT_MEMORY_OF_AN_EARLIER_LIFE
        :: phase[n] == SERVING -> phase[n] = DOWN; look[n] = 0; seen[n] = 0; age[n] = 0
        :: phase[n] == REGISTERED -> phase[n] = SERVING; age[n] = (TIMED(n) -> STALE : 0)
#else
        :: phase[n] != DOWN -> forget(n); phase[n] = DOWN
#endif
        /* stopped in order: first it serves nothing more, then it says so */
#ifdef MUTANT_SAYS_STOPPED_WHILE_SERVING
        :: phase[n] == SERVING -> stopped = stopped | BIT(n)
#else
        :: phase[n] == SERVING -> forget(n); phase[n] = STOPPING
        :: phase[n] == STOPPING -> stopped = stopped | BIT(n); phase[n] = DOWN
#endif
        /* started: registers, then loads */
#ifdef MUTANT_LOADS_BEFORE_IT_REGISTERS
        :: phase[n] == DOWN -> read_store(n); phase[n] = LOADING
#else
        :: phase[n] == DOWN -> stopped = stopped & ~BIT(n); phase[n] = REGISTERED
#endif
        :: phase[n] == REGISTERED -> read_store(n); phase[n] = LOADING
        :: phase[n] == LOADING ->
            has[n] = seen[n]; seen[n] = 0; age[n] = (TIMED(n) -> STALE : 0); phase[n] = SERVING; stopped = stopped & ~BIT(n)
#endif
        :: else
        fi;
        n = 0
    }

#ifdef REMOVAL
    /* ---- (a) node 0 is removed: it has been marked as out for three seconds, and has not taken that away */
#ifdef MUTANT_REMOVED_WITHOUT_A_MARK
    :: d_step { !removed -> removed = 1; mark = 0 }
#else
    :: d_step { !removed && mark > WAIT -> removed = 1; mark = 0 }
#endif
    :: d_step { waiting && removed && (need & BIT(0)) != 0 -> need = need & ~BIT(0) }
#endif

    /* ---- (a) the change */
    :: d_step { !changed -> changed = 1 }
    :: d_step {
        changed && !waiting && !(answered && !named) ->
        waiting = 1; need = ALL & ~(confirmed | stopped);
#ifdef MUTANT_NOBODY_IS_WAITED_FOR
        need = 0;
#endif
#ifdef MUTANT_STALE_NODES_ARE_NOT_WAITED_FOR
        need = need & ~(age[0] == STALE -> BIT(0) : 0);
#endif
#ifdef MUTANT_SENT_AGAIN_IS_DONE
        need = (begun -> 0 : need);
        begun = 1;
#endif
#ifdef MARKS
        need = need & ~(removed -> BIT(0) : 0);
#ifdef MUTANT_MARK_COUNTS_AT_ONCE
        known_out = (mark > 0 -> BIT(0) : 0);
#else
        known_out = (mark > WAIT -> BIT(0) : 0);
#endif
#endif
    }
    :: d_step { /* it hears of confirmations and of stops */
        waiting && (need & (confirmed | stopped)) != 0 -> need = need & ~(confirmed | stopped)
    }
#ifdef MUTANT_SHORT_WAIT
    :: d_step { waiting && (ticks >= 2 || (need & ~known_out) == 0) -> answer(need) }
#else
#ifdef MUTANT_NOBODY_IS_NAMED
    :: d_step { waiting && (ticks == WAIT || (need & ~known_out) == 0) -> answer(0) }
#else
    :: d_step { waiting && (ticks == WAIT || (need & ~known_out) == 0) -> answer(need) }
#endif
#endif
    :: d_step { waiting -> waiting = 0; ticks = 0; need = 0; known_out = 0 } /* that node dies; it is sent again */

    /* ---- a use that begins after the answer, at node 0, with the old record */
#ifndef PROXIES
    :: answered && phase[0] == SERVING && !has[0] ->
#ifdef MARKS
        assert(named || removed);
#else
        assert(named); /* properties 2 and 3a: only who was named may do that, */
#endif
        assert(age[0] == STALE) /* and knows that it is stale */
#else
    :: d_step {
        answered && use == NONE && !has[0] && !(strict && !current(0)) ->
        assert(named);
        use = LOOKED_UP; flagged = !current(0)
    }
#ifdef MUTANT_STRICT_IS_SERVED
    :: d_step { answered && use == NONE && !has[0] -> use = LOOKED_UP; flagged = !current(0) }
#endif
    :: atomic {
        use == LOOKED_UP ->
        use = SENT;
#ifdef MUTANT_FLAG_OF_THE_SENDING
        flagged = !current(0);
#endif
        if
        :: by = 0
        :: by = 1
        fi
    }
    :: d_step { use != NONE -> use = NONE; by = 0; flagged = 0; believed = 0; proved = 0 } /* lost, or dropped */
    /* ---- (c) the proxy: PING and PONG; a belief from before is as good as one from now */
    :: atomic {
        use == SENT ->
        if
        :: n = 0
        :: n = 1
        :: n = 2
        fi;
        if
        :: current(n) -> believed = believed | BIT(n); proved = proved | BIT(n)
        :: believed = believed & ~BIT(n); proved = proved & ~BIT(n) /* it says stale, or the path is down */
        fi;
        n = 0
    }
#ifdef MUTANT_ANSWER_SETTLES_THE_BELIEF
    :: d_step { use == SENT && flagged -> believed = believed & ~BIT(0) } /* it may be older than the last PONG */
#endif
#ifdef MUTANT_STALE_ANSWERS_PASS
    :: use == SENT ->
#else
    :: use == SENT && (!flagged || believed == 0) -> /* it reaches the client */
#endif
        assert(!strict); /* property 3c */
        /* property 3b: no node is reached that is current */
        assert(!((proved & 1) && current(0)) && !((proved & 2) && current(1)) && !((proved & 4) && current(2)))
#endif
    od
}
