/* Rule 5, the way back: what only the old side has is joined (`dr reconcile`), its sites begin anew as a part of the
 * promoted store (`dr rejoin`), and the DR site stands by again (`dr demote`).
 *
 * One key. Five changes: 0 disables it, 1 enables it, 2 and 3 change something else, 4 destroys it. Each may be sent to
 * either side, or to both (sent again to the side that answers); a record remembers the changes that were made to it.
 * Until they have seen the promotion, nodes of the old side change it as well: the operator was wrong, or the copy was
 * behind. Creation is on the old side only: two keys of one id are a conflict, which is named and joined by nobody.
 *
 * Property 4: a destroyed key serves nowhere after the return.
 * Property 2: nor does a disabled one, unless somebody who saw that has enabled it; what was enabled after all was joined
 *   stays so, however often the same is joined. A key that was made is there.
 * When the DR site stands by, a node of the old sites has all that was answered before, and may be current.
 */
#define ENABLE 1
#define DESTROY 4
#define BIT(c) (1 << (c))

typedef Record {
    bool there;
    bool usable;
    bool gone;
    byte marks;   /* bits of the changes that were made to it */
#ifdef MUTANT_THE_LAST_MARK_DECIDES
    byte version; /* how many writings it had */
#endif
    byte last     /* 1 + the last one */
}
Record old, held; /* on the old side, and in the promoted store; before the promotion that is the DR site's copy */

bool promoted;
bool fenced; /* no node of the old side changes anything any more */
bool joined; /* all of it, since it was fenced */
bool rejoined;

/* for the properties */
bool destroyed;
bool overruled; /* somebody has enabled what he saw disabled */
bool disabled;
bool settled;   /* somebody has enabled it in the promoted store after all was joined */

/* a node of the old sites, after the return */
bool lacks;     /* something that was answered before it was asked */
bool behind = 1;
bool warm;
bool asked;
bool confirmed;
bool standby;

inline copy(from, to) {
    to.there = from.there; to.usable = from.usable; to.gone = from.gone;
#ifdef MUTANT_THE_LAST_MARK_DECIDES
    to.version = from.version;
#endif
    to.marks = from.marks; to.last = from.last
}

/* the change takes effect in a record */
inline change(r, c) {
    overruled = overruled | (c == ENABLE && (r.marks & BIT(0)));
    disabled = disabled | (c == 0);
    destroyed = destroyed | (c == DESTROY);
    r.usable = (c == 0 -> 0 : (c == ENABLE -> 1 : r.usable));
    r.gone = (c == DESTROY -> 1 : r.gone);
#ifdef MUTANT_THE_LAST_MARK_DECIDES
    r.version++;
#endif
    r.marks = r.marks | BIT(c); r.last = c + 1
}

#ifdef MUTANT_THE_LAST_MARK_DECIDES
#define OLDER(a, b) (a.version <= b.version && (a.marks == 0 || (b.marks & BIT(a.last - 1))))
#else
#ifdef MUTANT_EARLIER_STATES_COUNT
#define OLDER(a, b) false
#else
#define OLDER(a, b) ((a.marks & ~b.marks) == 0)
#endif
#endif

#ifdef MUTANT_DEMOTED_BEFORE_IT_HAS_ALL
#define HAS_ALL true
#else
#define HAS_ALL !lacks
#endif
#ifdef MUTANT_COLD_NODES_TAKE_OVER
#define IS_WARM true
#else
#define IS_WARM warm
#endif

active proctype whole() {
    byte c;

    do
    /* ---- before the promotion */
    :: d_step { !old.there && !fenced -> old.there = 1; old.usable = 1 }
    :: d_step { !promoted -> copy(old, held) }
    :: d_step { !promoted -> promoted = 1 }

    /* ---- changes, on either side; one that was made there is not made again */
    :: atomic {
        if
        :: c = 0
        :: c = 1
        :: c = 2
        :: c = 3
        :: c = 4
        fi;
        if
        :: old.there && !old.gone && !fenced && !(old.marks & BIT(c)) -> change(old, c)
        :: promoted && held.there && !held.gone && !(held.marks & BIT(c)) ->
            settled = (c == 0 -> 0 : settled | (joined && c == ENABLE));
            change(held, c);
            behind = 1
        :: else
        fi;
        c = 0
    }
    :: d_step { promoted && !fenced -> fenced = 1 } /* its nodes have seen the promotion */

    /* ---- what only the old side has is joined, any number of times, until its data are put aside */
    :: d_step { promoted && old.there && !rejoined ->
        if
#ifdef MUTANT_TOMBSTONES_ARE_REPLACED
        :: held.gone && !old.gone -> copy(old, held)
#else
        :: held.gone
#endif
#ifndef MUTANT_WHAT_IS_MISSING_IS_NOT_MADE
        :: !held.there -> copy(old, held)
#endif
#ifndef MUTANT_TOMBSTONES_ARE_NOT_JOINED
        :: held.there && !held.gone && old.gone -> held.gone = 1
#endif
        :: held.there && !held.gone && !old.gone && !OLDER(old, held) ->
#ifndef MUTANT_THE_NEW_SIDE_WINS
            held.usable = held.usable & old.usable;
#endif
#ifndef MUTANT_WHAT_IS_JOINED_LEAVES_NO_MARKS
            held.marks = held.marks | old.marks; held.last = old.last;
#endif
#ifdef MUTANT_THE_LAST_MARK_DECIDES
            held.version = (old.version > held.version -> old.version : held.version) + 1;
#endif
            skip
        :: else
        fi;
#ifdef MUTANT_JOINED_BEFORE_IT_IS_FENCED
        joined = 1;
#else
        joined = fenced;
#endif
        behind = 1
    }

    /* ---- the old data are put aside, the sites begin anew */
    :: d_step { promoted && fenced && !rejoined && (joined || !old.there) ->
        rejoined = 1; behind = 1
    }
    :: rejoined ->
        assert(!destroyed || held.gone); /* property 4 */
        assert(!old.there || held.there); /* nothing that was made is lost */
        assert(!disabled || overruled || !held.usable || held.gone); /* property 2 */
        assert(!settled || held.usable || held.gone)

    /* ---- a node of theirs follows, gets warm, is asked; the DR site stands by */
    :: d_step { rejoined && behind -> behind = 0; lacks = 0 }
    :: d_step { rejoined && !warm -> warm = 1 }
    :: d_step { rejoined && !asked -> asked = 1; lacks = behind }
    :: d_step { asked && !confirmed && HAS_ALL && IS_WARM -> confirmed = 1 }
    :: d_step { confirmed && !standby -> standby = 1; assert(!lacks && warm) }
    od
}
