/* Rule 1, changes: each takes effect once, and none undoes another one without knowing of it.
 *
 * One key with two attributes. Operation 0 disables it, operation 1 enables it, operation 2 gives it another label. Each
 * is sent by either of two proxies, any number of times, to any of three nodes; copies arrive late, or never. A node
 * reads the record (its memory: perhaps behind), changes it, and writes it only at the revision that it read; the record
 * remembers the operations that changed it.
 *
 * Property 7: no operation takes effect twice.
 * Property 8: a change that was answered is in the record until another one that asks for the contrary takes effect.
 */
#define OPERATIONS 3
#define REMEMBERED 3 /* operations in a record: eight in the product, for any number of changes at the same time */

/* the record: revision, usable, label, the last operations that changed it (1 + operation; 0: none) */
byte revision;
bool usable = 1;
bool label;
byte marks[REMEMBERED];

/* nodes: what each knows of the record, an earlier state perhaps */
typedef Known {
    byte revision;
    bool usable;
    bool label;
    byte marks[REMEMBERED]
}
Known held[3];

/* a copy at each proxy: 0 none, else 1 + operation; and the node where it is being changed (3: not yet) */
byte copy[2];
byte at[2] = 3;
Known base[2]; /* what the node had when it began to change it */

byte effects[OPERATIONS];
byte answered; /* bits */

inline hold(n) {
    held[n].revision = revision; held[n].usable = usable; held[n].label = label;
    held[n].marks[0] = marks[0]; held[n].marks[1] = marks[1]; held[n].marks[2] = marks[2]
}

inline clear(p) {
    copy[p] = 0; at[p] = 3;
    base[p].revision = 0; base[p].usable = 0; base[p].label = 0;
    base[p].marks[0] = 0; base[p].marks[1] = 0; base[p].marks[2] = 0
}

#define remembers(r, op) (r.marks[0] == op + 1 || r.marks[1] == op + 1 || r.marks[2] == op + 1)

active proctype whole() {
    byte n, p, op;
    bool written;

    d_step {
        held[0].usable = 1; held[1].usable = 1; held[2].usable = 1
    }
    do
    :: atomic {
        if
        :: p = 0
        :: p = 1
        fi;
        if
        :: copy[p] == 0 -> copy[p] = 1
        :: copy[p] == 0 -> copy[p] = 2
        :: copy[p] == 0 -> copy[p] = 3
        :: copy[p] != 0 -> clear(p) /* lost; sent again in another step */
        :: copy[p] != 0 && at[p] == 3 -> /* it arrives */
            if
            :: n = 0
            :: n = 1
            :: n = 2
            fi;
            op = copy[p] - 1;
#ifndef MUTANT_NO_OPERATION_IDS
            if
            :: remembers(held[n], op) -> answered = answered | (1 << op); clear(p)
            :: else ->
#endif
                at[p] = n;
                base[p].revision = held[n].revision; base[p].usable = held[n].usable; base[p].label = held[n].label;
                base[p].marks[0] = held[n].marks[0]; base[p].marks[1] = held[n].marks[1];
                base[p].marks[2] = held[n].marks[2];
#ifndef MUTANT_NO_OPERATION_IDS
            fi;
#endif
            op = 0; n = 0
        :: copy[p] != 0 && at[p] != 3 -> /* it is written */
            op = copy[p] - 1; n = at[p];
#ifdef MUTANT_REVISION_IS_NOT_COMPARED
            written = 1;
#else
            written = (base[p].revision == revision);
#endif
            if
            :: written ->
                revision++;
                usable = (op == 0 -> 0 : (op == 1 -> 1 : base[p].usable));
                label = (op == 2 -> 1 : base[p].label);
#ifdef MUTANT_ONE_OPERATION_REMEMBERED
                marks[0] = op + 1;
#else
                marks[2] = base[p].marks[1]; marks[1] = base[p].marks[0]; marks[0] = op + 1;
#endif
                effects[op]++;
                assert(effects[op] <= 1); /* property 7 */
                answered = answered | (1 << op);
                hold(n); clear(p)
            :: else -> hold(n); at[p] = 3 /* somebody was faster: once more, with what is there now */
            fi;
            base[p].revision = 0; base[p].usable = 0; base[p].label = 0;
            base[p].marks[0] = 0; base[p].marks[1] = 0; base[p].marks[2] = 0;
            written = 0; op = 0; n = 0;
            /* property 8 */
            assert(!(answered & 4) || label);
            assert(!(answered & 1) || effects[1] > 0 || !usable)
        fi;
        p = 0
    }
    :: atomic { /* the watch */
        if
        :: n = 0
        :: n = 1
        :: n = 2
        fi;
        hold(n); n = 0
    }
    od
}
