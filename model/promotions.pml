/* Rule 5, the promotion itself: asked more than once, killed, its outcome unknown, by a command that remembers nothing.
 *
 * The old store has a majority without the DR site's member, whose copy may be behind. `hsmctl dr promote --force` asks the
 * majority; where no answer comes, that may have raised its epoch all the same, then or later. So the command makes the
 * copy a store of its own, and raises the epoch there. It may be killed at each step, and is run again.
 *
 * One node of the old store, one of the DR site, one proxy. How old nodes
 * vouch for each other is in `epochs`. The operator is right: the old node is off while the copy is made a store of its own.
 * It may be on again right after that, before the epoch is raised; and a node of the DR site that is started while the
 * member of its own is off may follow the old store then. Loss and delay: no step has to happen.
 *
 * Property 5: once the store of its own is promoted, no node of the old one is current; and a proxy that has seen the
 * promotion lets no answer of theirs pass, marked or not. For that the epoch of the old store has to be lower for ever.
 * And no run is refused by the store of its own: its copy may lack an epoch that the DR site's node has read elsewhere,
 * which fences that node.
 */
#define RUNS 3 /* of the command */

byte old_epoch = 1; /* in the old store's check record */
bool old_promoted;
byte copy_epoch = 1; /* in that of the DR site's member */
bool copy_promoted;
bool demoted; /* an earlier promotion was led back: once */
bool own;     /* the copy is a store of its own: copy_epoch is that store's */
bool raised;  /* the command has raised its epoch */

/* a request of the command to the old majority, whose answer is lost: 1 + the epoch that it asks for (0: the next one) */
byte flight;
byte found; /* the epoch that it has read, and compares */

/* the command: what it was told when it began, and is to do */
#define IDLE 0
#define LOOKED 1
#define UNANSWERED 2
#define MOVED 3 /* the restored data have the name of those that are kept, and are not in their place yet */
#define OWN 4   /* they are in place: who is asked is a majority */
byte step;
byte runs;
byte known;  /* the epoch that it was told when it began */
bool doubt;  /* on the disk: nobody knows what became of something that the majority was asked for */
byte wanted; /* the epoch that it asks for; 0: the next one */
byte kept;   /* the highest epoch in a name of data that are kept: what an earlier run was to do */

byte dr_seen = 1; /* the highest epoch that the DR site's node has read: when it asks, is in contact, or is shown it */
bool at_old;      /* it follows the old store, and the copy is one of its own */

/* the node of the old store */
bool on = 1;
bool warm = 1;
byte node_epoch = 1; /* as it has read it last */
bool fenced;         /* it has seen a higher one: on its disk */

byte proxy_seen = 1;
bool proxy_knows;

#define larger(a, b) ((a) > (b) -> (a) : (b))

/* A fenced node promotes nothing, but a store that gets an epoch above all that the node has seen. */
#ifdef MUTANT_FENCED_NODES_ARE_REFUSED
#define is_above 0
#else
#define is_above (wanted > dr_seen)
#endif
#ifdef MUTANT_FENCED_NODES_PROMOTE
#define may_promote_old 1
#else
#define may_promote_old (dr_seen <= old_epoch || is_above)
#endif
/* An epoch that is asked for by its number is for the store that the DR site's member is of. */
#ifdef MUTANT_ANY_STORE_GETS_THE_EPOCH
#define asks_old (may_promote_old && !(old_promoted && old_epoch >= wanted))
#else
#define asks_old (wanted == 0 && may_promote_old && !(old_promoted && old_epoch >= wanted))
#endif

inline end_run() {
    step = IDLE; wanted = 0; known = 0
}

active proctype whole() {
    do
    /* ---- the copy follows, and the DR site's node, by whichever member */
    :: d_step { !own && (copy_epoch != old_epoch || copy_promoted != old_promoted) ->
        copy_epoch = old_epoch; copy_promoted = old_promoted
    }
    :: d_step { dr_seen < old_epoch -> dr_seen = old_epoch }
    :: d_step { own && step != MOVED && !at_old -> at_old = 1 }
    :: d_step { at_old -> at_old = 0 }

    /* ---- a request in doubt takes effect, if nothing has come between; or never. A way back */
    :: d_step { flight != 0 && found == old_epoch ->
        old_epoch = larger(found + 1, flight - 1); old_promoted = 1; flight = 0; found = 0
    }
    :: d_step { flight != 0 -> flight = 0; found = 0 }
    :: d_step { old_promoted && !demoted -> old_promoted = 0; demoted = 1 }

    /* ---- the command */
    :: d_step { step == IDLE && runs < RUNS ->
        runs++; step = LOOKED; /* a node keeps the epoch of the store that it opens */
        dr_seen = (own && !at_old -> larger(dr_seen, copy_epoch) : dr_seen); known = dr_seen;
#ifndef MUTANT_INTERRUPTED_RUN_IS_FORGOTTEN
        wanted = (kept > known -> kept + doubt : 0)
#endif
    }
    :: d_step { step == LOOKED && !own && flight == 0 && !(old_promoted && old_epoch >= wanted) ->
        flight = wanted + 1; found = old_epoch; dr_seen = larger(dr_seen, found); /* the old majority is asked */
        doubt = 1; step = UNANSWERED
    }
    :: d_step { (step == LOOKED || step == OWN) && own && at_old && flight == 0 && asks_old ->
        flight = wanted + 1; found = old_epoch; dr_seen = larger(dr_seen, found);
        doubt = 1; step = (step == LOOKED -> UNANSWERED : OWN)
    }
    :: d_step { step == LOOKED -> step = UNANSWERED } /* nobody was */
    :: d_step { (step == LOOKED || step == OWN) && own && !at_old -> /* it is the majority: it answers */
        assert(dr_seen <= copy_epoch || is_above); /* no run is refused */
        copy_epoch = (copy_promoted && copy_epoch >= wanted -> copy_epoch : larger(copy_epoch + 1, wanted));
        copy_promoted = 1; raised = 1; dr_seen = larger(dr_seen, copy_epoch); doubt = 0; end_run()
    }
    :: d_step { (step == LOOKED || step == OWN) && own && !at_old -> /* the node ends before it has kept that */
        copy_epoch = (copy_promoted && copy_epoch >= wanted -> copy_epoch : larger(copy_epoch + 1, wanted));
        copy_promoted = 1; raised = 1; end_run()
    }
    :: d_step { step == UNANSWERED && !on ->
#ifdef MUTANT_EPOCH_OF_THE_FIRST_LOOK
        wanted = larger(known + 1 + doubt, wanted + 1);
#else
#ifdef MUTANT_EPOCH_IN_DOUBT_IS_SHARED
        wanted = larger(dr_seen + 1, wanted + 1);
#else
#ifdef MUTANT_EPOCH_ASKED_FOR_IS_SHARED
        wanted = larger(dr_seen + 1 + doubt, wanted);
#else
        wanted = larger(dr_seen + 1 + doubt, wanted + 1);
#endif
#endif
#endif
        kept = larger(kept, wanted); step = MOVED
    }
    :: d_step { step == MOVED -> own = 1; at_old = 0; step = OWN } /* the data change places; nodes open them, and are asked */
    :: d_step { step != IDLE -> end_run() } /* killed */

    /* ---- the old node */
    :: d_step { on -> on = 0; warm = 0 }
    :: d_step { !on && step != MOVED -> on = 1; node_epoch = old_epoch } /* cold */
    :: d_step { on && !fenced && node_epoch < old_epoch -> node_epoch = old_epoch } /* contact */
    :: d_step { on && !fenced && own && copy_epoch > node_epoch -> fenced = 1 } /* it asks the DR site's member */
#ifdef MUTANT_A_STORE_OF_ITS_OWN_WARMS
    :: d_step { on && !fenced && !warm && copy_epoch <= node_epoch -> warm = 1 }
#else
    :: d_step { on && !fenced && !warm && copy_epoch <= node_epoch && !own -> warm = 1 }
#endif

    /* ---- the proxy: PONGs of both sides */
    :: d_step { raised -> proxy_seen = larger(proxy_seen, copy_epoch); proxy_knows = 1 }
    :: d_step { on && !fenced && node_epoch > proxy_seen -> proxy_seen = node_epoch }

    /* ---- an answer of the old node */
    :: on && !fenced ->
        assert(!(raised && warm)); /* property 5: it is not current */
        assert(!(proxy_knows && node_epoch >= proxy_seen)) /* property 5: it does not pass */
    od
}
