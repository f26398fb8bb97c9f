/* Rules 4 and 5: what the DR site has when it is promoted, and what the old sites may do afterwards.
 *
 * Nodes 0 and 1 at the productive sites, with a store of their own; node 2 at the DR site, with a copy of it that may be
 * behind. Promotion makes the copy a store with epoch 2, which node 2 serves. Two proxies, each reaching any node or
 * none, at any time; answers stay on their way for as long as they like.
 *
 * Key 1 is made before, with durability `dr`. Key 2 stands for every key change after the promotion.
 *
 * Without a switch, the operator is right: whoever promotes has switched nodes 0 and 1 off. They may be on again later.
 * -DLIVING: nothing was switched off, both sides of a cut link go on.
 *   Without one of its rules: NODES_FORGET_THE_EPOCH, PROXIES_DO_NOT_FENCE, PROXIES_FORGET_THE_EPOCH,
 *   LINKS_OUTLIVE_AN_EPOCH.
 *
 * Property 1 and 4 (over a promotion): a key that was acknowledged with `dr` is there in epoch 2.
 * Property 5: who has seen epoch 2, proxy or node, lets no answer from epoch 1 pass; and where the operator is right,
 *   nobody at all: no key change, no KEY_NOT_FOUND, no use that is not marked as stale.
 */
#define OLD 1
#define NEW 2

/* stores: bits of the keys that are in them */
byte old_store;
byte copy;
byte new_store;
bool promoted;

/* nodes 0 and 1 (node 2 is always at the newest store) */
bool on[2] = 1;
bool warm[2] = 1;         /* it knows that no promotion came before: may be current and change keys */
byte node_epoch[2] = OLD; /* of the store that it follows */
byte node_seen[2] = OLD;  /* the highest that it has seen: on its disk */

/* proxies */
byte proxy_seen[2] = OLD; /* the highest epoch that it has seen: on its disk */
bool proxy_knows[2];      /* for the property: whether it ever saw epoch 2 */
bool node_knows[2];

/* one answer on its way to each proxy: 0 none, else the epoch of the node that gave it */
byte answer[2];

bool acknowledged; /* key 1, with OK */

inline choose2(v) {
    if
    :: v = 0
    :: v = 1
    fi
}

#define KEY_1 1
#define KEY_2 2
#define serves(n) (on[n] && node_epoch[n] >= node_seen[n])
#ifdef MUTANT_COLD_NODES_ARE_CURRENT
#define allowed(n) serves(n)
#else
#define allowed(n) (serves(n) && warm[n])
#endif

active proctype whole() {
    byte n, p;

    do
    /* ---- before: key 1 is made in the old store, and comes to the copy some time */
    :: d_step { on[0] && !(old_store & KEY_1) -> old_store = old_store | KEY_1 }
    :: d_step { !promoted && copy != old_store -> copy = old_store }
#ifdef MUTANT_QUORUM_IS_ENOUGH
    :: d_step { (old_store & KEY_1) && !promoted -> acknowledged = 1 }
#else
    :: d_step { (old_store & KEY_1) && (copy & KEY_1) && !promoted -> acknowledged = 1 }
#endif

    /* ---- the promotion */
#ifdef LIVING
    :: d_step { !promoted ->
#else
    :: d_step { !promoted && !on[0] && !on[1] && answer[0] == 0 && answer[1] == 0 ->
#endif
        promoted = 1; new_store = copy
    }
    :: promoted -> assert(!acknowledged || (new_store & KEY_1)) /* properties 1 and 4 */

    /* ---- nodes of the old sites */
    :: atomic {
        choose2(n);
        if
        :: on[n] -> /* killed, or switched off */
            on[n] = 0; warm[n] = 0;
#ifdef MUTANT_NODES_FORGET_THE_EPOCH
            node_seen[n] = OLD
#endif
        :: !on[n] -> on[n] = 1 /* cold */
        :: on[n] && !warm[n] -> /* it asks the DR site for its epoch */
            if
            :: promoted -> node_seen[n] = NEW; node_knows[n] = 1
            :: !promoted -> warm[n] = 1
            fi
#ifdef MUTANT_FENCED_NODES_CONFIRM_A_START
        :: on[n] && !warm[n] && node_epoch[n] == OLD && on[1 - n] && warm[1 - n] && node_epoch[1 - n] == OLD ->
#else
        :: on[n] && !warm[n] && node_epoch[n] == OLD && allowed(1 - n) && node_epoch[1 - n] == OLD ->
#endif
            warm[n] = 1 /* a node of its store that is warm, and not fenced, has confirmed its registration */
#ifdef MUTANT_ANY_NODE_CONFIRMS_A_START
        :: on[n] && !warm[n] && on[1 - n] -> warm[n] = 1
#endif
        :: on[n] && promoted && node_epoch[n] == OLD -> /* its site is made a part of the new store */
            node_epoch[n] = NEW; node_seen[n] = NEW; node_knows[n] = 1; warm[n] = 1
        :: on[n] && node_epoch[n] == NEW -> node_epoch[n] = OLD /* by mistake, the old store is put in place again */
        :: else
        fi;
        n = 0
    }

    /* ---- a key change, or a KEY_NOT_FOUND, or a use that is not marked: at a node of the old sites, or at node 2 */
    :: atomic {
        choose2(n); choose2(p);
        if
        :: answer[p] == 0 && allowed(n) ->
            answer[p] = node_epoch[n];
            if
            :: node_epoch[n] == OLD ->
                /* property 5, the node's part: it has not seen epoch 2 */
                assert(!node_knows[n]);
#ifndef LIVING
                assert(!promoted); /* property 5, where the operator is right */
#endif
            :: else
            fi
        :: answer[p] == 0 && promoted -> answer[p] = NEW
        :: answer[p] != 0 -> answer[p] = 0 /* lost */
        :: else
        fi;
        n = 0; p = 0
    }
    /* ---- it comes to the proxy; the node's epoch is that of all PONGs of this link, for a node that takes another epoch
     * closes its links */
    :: atomic {
        choose2(p);
        if
#ifdef MUTANT_PROXIES_DO_NOT_FENCE
        :: answer[p] != 0 ->
#else
#ifdef MUTANT_LINKS_OUTLIVE_AN_EPOCH
        :: answer[p] != 0 && (answer[p] >= proxy_seen[p] || node_epoch[0] >= proxy_seen[p]) ->
#else
        :: answer[p] != 0 && answer[p] >= proxy_seen[p] ->
#endif
#endif
            assert(!(answer[p] == OLD && proxy_knows[p])); /* property 5, the proxy's part */
            answer[p] = 0
        :: answer[p] != 0 && answer[p] < proxy_seen[p] -> answer[p] = 0 /* dropped; the request goes to another node */
        :: else
        fi;
        p = 0
    }
    /* ---- proxies: a PONG, a restart */
    :: atomic {
        choose2(p);
        if
        :: promoted -> proxy_seen[p] = NEW; proxy_knows[p] = 1 /* a PONG of a node at the new store */
#ifdef MUTANT_PROXIES_FORGET_THE_EPOCH
        :: proxy_seen[p] = OLD
#endif
        :: else
        fi;
        p = 0
    }
    od
}
