/* The ownership protocol: many native threads, at most one of them (the owner) inside the VM. A model for Spin; `run` checks it.
 *
 * What is modelled: the owner word with its fast and slow paths, the stack of records, the pool, the heartbeat, foreign threads
 * and external signals (both are a service thread here), callbacks and processes that are bound to a thread. What is not: memory
 * order (all steps are sequentially consistent), priorities (the scheduler picks any process), cancelled calls, threads
 * that are started later.
 *
 *   own, disown    enter the VM, leave it for a C function
 *   ticket         the word that a disown wrote: as long as the word is the same, nobody ran in between
 *   record         of a process's innermost call: a completion, or a callback, that is to be drained; of a service
 *                  thread: its request
 *   drain          the owner takes all records and makes their processes runnable
 *   free thread    one without a call on its C stack. It owns the VM, is parked, or is on its way to the pool
 *   bound process  one with live callbacks, bound to the thread whose C stack has them; or one with an affinity
 *   asleep         a thread with live callbacks or a returned nested call that waits for the VM, on its own semaphore, not in the pool
 *   stuck          in a C function that never returns
 *
 * Granularity. The word is the only thing that threads without a lock share, so an atomic step has exactly one operation on the
 * word or on the stack of records (a push, an exchange). What only the owner touches and what is done under the pool's mutex around
 * that one operation belongs to the step: nobody can see it half done. A CAS loop is one step, its last turn.
 *
 * `seq` is not a number here. All the protocol does with it is to compare it with one remembered earlier, so `same` has a bit for each
 * one who remembers (threads: their ticket; the heartbeat: what it saw at its last tick), and a change of owner clears them
 * all. That is a seq which never wraps, with far fewer states.
 *
 * Checked:
 *   1. At most one thread is inside (`inside`; and every step of an owner asserts that the word names it).
 *   2. A process is in one place, and leaves only the place where it is (`place`, the assertions at its changes).
 *   3. Nobody sleeps while the VM is unowned and W is set; no record is left (Monitor).
 *   4. If every C function returns, everything comes to its end without the heartbeat. If some never return, everything else does
 *      with it; without it at least 3 holds (Monitor).
 *   5. A thread with live callbacks runs only the process of the innermost one, and they end in the reverse of the order in
 *      which they began; a bound process runs on its thread (`safepoint`).
 *   6. An unowned VM has a free thread (`RELEASED`).
 *   7. The heartbeat takes the VM only from a call that has lasted for a tick (`aged`).
 *   8. A call is refused only if every other thread has one (`threadLimit`).
 *   9. A semaphore is posted only to make its thread the owner, and never twice (HAND, `sleep`).
 */

/* The configuration. */
#ifndef NT
#define NT 2                       /* threads of the VM, 2 to 4 */
#endif
#ifndef NP
#define NP 2                       /* processes, 1 to 3 */
#endif
#ifndef NS
#define NS 0                       /* service threads (foreign threads, signals), each with one request; NP + NS <= 4 */
#endif
#ifndef YIELDS
#define YIELDS 1                   /* how often each process yields, calls C, is called back, waits for the others */
#endif
#ifndef CALLS
#define CALLS 1
#endif
#ifndef CALLBACKS
#define CALLBACKS 0
#endif
#ifndef WAITS
#define WAITS 0
#endif
#ifndef DEPTH
#define DEPTH 2                    /* live callbacks of one process */
#endif
#ifndef AFFINITY
#define AFFINITY 0                 /* 1: process 0 is bound to thread 1 */
#endif
#ifndef STUCK
#define STUCK 0                    /* 1: a C function may never return */
#endif
#ifndef HEARTBEAT
#define HEARTBEAT 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

/* Seeded errors: every one must be found. */
#define CLEAR_AFTER_DRAIN     1    /* W is cleared after the records were taken */
#define ATTENTION_BEFORE_PUSH 2    /* W is set before the record is pushed */
#define IDLE_IGNORES_W        3    /* the idle release does not demand !W */
#define OWN_DROPS_W           4    /* own by ticket ignores W and writes a word without it */
#define OWN_WITHOUT_TICKET    5    /* own takes any unowned word for its own */
#define CLAIM_DROPS_W         6
#define HAND_DROPS_W          7
#define PARK_WITHOUT_LOOK     8
#define PARK_LOOKS_TOO_EARLY  9    /* the word is read before the thread is in the pool */
#define DISOWN_IGNORES_W      10
#define DISOWN_IGNORES_B      11
#define NO_LAZY_SAVE          12
#define BEAT_ON_ONE_LOOK      13
#define BEAT_WITHOUT_SEQ      14
#define BEAT_PARKS_BLINDLY    15   /* B is set with an or, whatever the word has become */
#define NO_WAKE               16   /* a service thread sets W but wakes nobody */
#define WRONG_THREAD          17   /* a process with live callbacks runs on any thread */
#define WRONG_PROCESS         18   /* a thread with live callbacks runs any process */
#define HAND_TO_BUSY          19   /* the scheduler does not skip a process whose thread is in C */
#define SLEEPER_IN_POOL       20   /* a thread that waits with C frames below goes to the pool like any other */
#define WOKEN_STAYS_IN_POOL   21   /* a thread that got the VM before it was in the pool does not leave the pool */
#define NO_RESERVE            22   /* the last free thread may begin a call */
#define RELEASE_AFTER_LOOK    23   /* the pool is found empty, then, no longer under its mutex, the VM is released */
#define RELEASE_WITHOUT_R     24   /* ... or it is released as if idle */
#define KICK_ONLY_CLEARS      25   /* B is cleared but the heartbeat is not woken */
#define DISOWN_KEEPS_SEQ      26   /* disown does not advance seq */
#define WAKE_TRIES_ONCE       27   /* a service thread's CAS expects the word as it was, while the heartbeat parks although W is set */
#define DRAIN_BEFORE_SAVE     28   /* the records are taken before the lazy process is saved */
#define RESERVE_IN_POOL       29   /* a call begins only if a thread is in the pool, though some may be on their way to it */
#define M(m) (MUTANT == m)

/* Other ways to do it, which are right too: none may fail. */
#define OWN_KEEPS_W           51   /* own by ticket succeeds although W or B was set since, and keeps them */
#define TICKET_WITHOUT_SEQ    52   /* the ticket is the releaser's tid alone */
#define KICK_FOR_WORK_ONLY    53   /* B is left alone by a disown that leaves no work, and by an own */
#define BEAT_IGNORES_W        54   /* the heartbeat looks at R only */
#define POOL_LEFT_ON_WAKING   55   /* who hands the VM to a thread of the pool leaves it there; it goes itself when it wakes */
#define SERVICE_ALWAYS_LOOKS  56   /* a service thread wakes somebody if the VM is unowned, whatever it was before */
#define DISOWN_DRAINS         57   /* a disown that meets W drains and tries again: the heartbeat moves in, by R */

#define NA (NP + NS)               /* processes: NP ordinary ones, then one for each service thread's request */
#define NONE 15
#define BIT(n) (1 << (n))
#define BEAT BIT(NT)

/* The word. */
bool owned, W, R, B;
byte tid = NONE;
byte same;

/* Records, pool, semaphores. */
#define COMPLETION 1
#define CALLBACK   2
#define REQUEST    3
byte record[NA];
bool idle[NT], sem[NT], beat_sem, answered[NA];

/* What only the owner touches. */
#define UNBORN  0
#define READY   1
#define ACTIVE  2
#define IN_CALL 3
#define WAITING 4
#define DONE    5
byte place[NA];
byte at[NA] = NONE;                /* the thread of the process's innermost call */
byte live[NA];                     /* its live callbacks */
byte yields[NA], calls[NA], callbacks[NA], waits[NA];
byte current = NONE;               /* the active process */
byte lazy = NONE;                  /* the thread that left it in C without saving it */
byte in_call;                      /* threads that are not free, as far as the owner knows */
bool in_c[NT];                     /* the thread is in C, as far as the owner knows */
byte depth[NT], frames[NT * DEPTH];/* the processes of the callbacks that live on the thread's C stack */

/* For the assertions only. */
byte inside;
bool aged;                         /* a tick has passed since the VM was released */
byte stuck;                        /* a bit for each thread */

#define AFFINE(p)   ((AFFINITY && (p) == 0) -> 1 : NONE)
#define BOUND(p)    (live[p] > 0 -> at[p] : AFFINE(p))
#define TOP(t)      frames[(t) * DEPTH + depth[t] - 1]
#define FITS(p, t)  (depth[t] == 0 || TOP(t) == (p))
/* Can process p run now? It is left alone while its thread is in C, or has live callbacks of another process. */
#define RUNNABLE(p) (place[p] == READY && \
  (BOUND(p) == NONE || M(HAND_TO_BUSY) || M(WRONG_THREAD) || (!in_c[BOUND(p)] && (FITS(p, BOUND(p)) || M(WRONG_PROCESS)))))
#define ALIVE(p)    (place[p] == READY || place[p] == ACTIVE || place[p] == IN_CALL)
#if NP + NS == 1
#define OVER_ALL(op, m) m(0)
#elif NP + NS == 2
#define OVER_ALL(op, m) (m(0) op m(1))
#elif NP + NS == 3
#define OVER_ALL(op, m) (m(0) op m(1) op m(2))
#else
#define OVER_ALL(op, m) (m(0) op m(1) op m(2) op m(3))
#endif
#define WORK OVER_ALL(||, RUNNABLE)
#if NT == 2
#define POOL (idle[0] || idle[1])
#elif NT == 3
#define POOL (idle[0] || idle[1] || idle[2])
#else
#define POOL (idle[0] || idle[1] || idle[2] || idle[3])
#endif

#define OWNER  assert(owned && tid == t)
#define ENTER  inside++; assert(inside == 1)
#define LEAVE  inside--
#define ADVANCE same = 0
#define RELEASED(r) owned = false; R = r; ADVANCE; aged = false; LEAVE; assert(in_call < NT)
#define CLAIM  owned = true; tid = t; R = false; ADVANCE; ENTER
/* The word goes to thread u, then its semaphore is posted. */
#define HAND   \
  assert(!sem[u] && u != NONE); idle[u] = (idle[u] && M(POOL_LEFT_ON_WAKING)); \
  owned = true; tid = u; R = false; ADVANCE; sem[u] = true; u = NONE

inline pick_process() {
  p = NONE;
  if
  :: RUNNABLE(0) -> p = 0
#if NP + NS > 1
  :: RUNNABLE(1) -> p = 1
#endif
#if NP + NS > 2
  :: RUNNABLE(2) -> p = 2
#endif
#if NP + NS > 3
  :: RUNNABLE(3) -> p = 3
#endif
  :: else
  fi
}

inline pick_parked() {
  u = NONE;
  if
  :: idle[0] -> u = 0
  :: idle[1] -> u = 1
#if NT > 2
  :: idle[2] -> u = 2
#endif
#if NT > 3
  :: idle[3] -> u = 3
#endif
  :: else
  fi
}

/* The block of a callback begins: thread x has its C frames from now on. */
inline callback_begins(p, x) {
  assert(depth[x] < DEPTH);
  frames[x * DEPTH + depth[x]] = p; depth[x]++; live[p]++
}

inline callback_ends(p, x) {
  assert(TOP(x) == p && at[p] == x);
  depth[x]--; frames[x * DEPTH + depth[x]] = 0; live[p]--
}

/* The C function of p's innermost call has returned to thread x. */
inline call_ends(p) {
  if
  :: live[p] == 0 -> in_call--; at[p] = NONE
  :: else
  fi
}

/* The exchange of the stack with NULL, and what the owner does with the records. */
inline take_records() {
  d_step {
    i = 0;
    do
    :: i < NA ->
       if
       :: record[i] == COMPLETION -> assert(place[i] == IN_CALL); place[i] = READY; in_c[at[i]] = false; call_ends(i)
       :: record[i] == CALLBACK -> assert(place[i] == IN_CALL); place[i] = READY; in_c[at[i]] = false; callback_begins(i, at[i])
       :: record[i] == REQUEST -> assert(place[i] == UNBORN); place[i] = READY
       :: else
       fi;
       record[i] = 0;
       i++
    :: else -> break
    od;
    i = 0
  }
}

proctype Thread(byte t) {
  byte p = NONE, u = NONE, i = 0;
  byte mine = NONE;                /* the process whose call this thread is in */
  byte kind = 0;                   /* the record to push */
  bool leaving = false;            /* a slow disown: this thread goes to C and runs nothing */
  bool ticket = false, was_owned = false;
  bool back = false;               /* the thread waits with C frames below: it sleeps instead of going to the pool */

  if
  :: t == 0 -> goto schedule
  :: else -> goto park
  fi;

safepoint: /* The owner runs the active process. */
  atomic {
    OWNER;
    assert(current != NONE && place[current] == ACTIVE && lazy == NONE);
    assert(FITS(current, t) && (BOUND(current) == NONE || BOUND(current) == t));
    if
    :: yields[current] < YIELDS ->
       yields[current]++; place[current] = READY; current = NONE; goto schedule
    :: waits[current] < WAITS && OVER_ALL(+, ALIVE) > 1 ->
       waits[current]++; place[current] = WAITING; current = NONE; goto schedule
    :: calls[current] < CALLS && current < NP ->
       calls[current]++;
       if
       :: live[current] > 0 -> goto disown
       :: live[current] == 0 && (in_call + 1 < NT || M(NO_RESERVE)) && (!M(RESERVE_IN_POOL) || POOL) -> in_call++; goto disown
       :: else ->                  /* the call fails with threadLimit */
          assert(in_call + 1 == NT); goto safepoint
       fi
    :: live[current] > 0 ->        /* the block of the callback returns: back to the same C function */
       callback_ends(current, t); goto disown
    :: live[current] == 0 ->
       place[current] = DONE; answered[current] = true;
       yields[current] = 0; calls[current] = 0; callbacks[current] = 0; waits[current] = 0;   /* fewer states */
       current = NONE;
       i = 0;
       do
       :: i < NA ->
          if
          :: place[i] == WAITING -> place[i] = READY
          :: else
          fi;
          i++
       :: else -> break
       od;
       i = 0;
       goto schedule
    fi
  }

schedule: /* The owner; no process is active. Attention first. */
  atomic {
    OWNER;
    assert(current == NONE && lazy == NONE);
    if
    :: W && !M(CLEAR_AFTER_DRAIN) -> W = false
    :: W && M(CLEAR_AFTER_DRAIN)
    :: else -> goto choose
    fi
  }
  atomic { OWNER; take_records() }
  if
  :: M(CLEAR_AFTER_DRAIN) -> W = false
  :: else
  fi;

choose:
  atomic {
    OWNER;
    back = (depth[t] > 0 && !M(SLEEPER_IN_POOL));
    pick_process();
    if
    :: p == NONE ->
       if
       :: !W || M(IDLE_IGNORES_W) -> RELEASED(false); goto left
       :: else -> goto schedule
       fi
    :: p != NONE && !leaving &&
       (M(WRONG_THREAD) || BOUND(p) == t || (BOUND(p) == NONE && (depth[t] == 0 || M(WRONG_PROCESS)))) ->
       place[p] = ACTIVE; current = p; p = NONE; goto safepoint
    :: else ->                     /* It runs on another thread: on its own one, else on any that is parked. */
       if
       :: BOUND(p) != NONE && !M(WRONG_THREAD) -> u = BOUND(p)
       :: else -> pick_parked()
       fi;
       if
       :: u != NONE ->
          place[p] = ACTIVE; current = p; p = NONE;
          if
          :: M(HAND_DROPS_W) -> W = false
          :: else
          fi;
          LEAVE; HAND; goto left
       :: u == NONE && M(RELEASE_AFTER_LOOK) -> p = NONE; goto release
       :: else ->                  /* Nobody is parked: some thread is on its way, and will look at R. */
          p = NONE;
          if
          :: !W -> RELEASED(!M(RELEASE_WITHOUT_R)); goto left
          :: else -> goto schedule
          fi
       fi
    fi
  }

release: /* Only for a mutant. */
  atomic {
    OWNER;
    if
    :: !W -> RELEASED(true)
    :: else -> goto schedule
    fi
  }

left: /* No longer the owner. */
  if
  :: leaving -> leaving = false; goto c
  :: !leaving && back -> goto sleep
  :: else -> goto park
  fi;

park: /* Under the pool's mutex: into the pool, a look at the word, out again if the VM can be claimed. */
  if
  :: M(PARK_LOOKS_TOO_EARLY) ->
     atomic {
       if
       :: !owned && (R || W) -> CLAIM; goto inherit
       :: else
       fi
     }
     idle[t] = true
  :: else ->
     atomic {
       if
       :: !owned && (R || W) && !M(PARK_WITHOUT_LOOK) -> CLAIM; goto inherit
       :: else -> idle[t] = true
       fi
     }
  fi;

sleep: /* On its own semaphore, in the pool or not. The VM may have been handed to it before it was in the pool: then it leaves it now. */
end_sleep:
  atomic {
    sem[t] -> sem[t] = false; OWNER; ENTER;
    if
    :: !M(WOKEN_STAYS_IN_POOL) -> idle[t] = false
    :: else
    fi
  }

inherit: /* The owner, after somebody else. */
  atomic {
    OWNER;
    back = false; was_owned = false;
    if
    :: M(DRAIN_BEFORE_SAVE) -> take_records()
    :: else
    fi;
    if
    :: lazy != NONE ->
       assert(current != NONE && place[current] == ACTIVE && at[current] == lazy);
       if
       :: !M(NO_LAZY_SAVE) -> place[current] = IN_CALL
       :: else
       fi;
       current = NONE; lazy = NONE
    :: else
    fi;
    if
    :: current != NONE -> goto safepoint /* it was handed over with the VM */
    :: else -> goto schedule
    fi
  }

disown:
  atomic {
    OWNER;
    mine = current; at[mine] = t; in_c[t] = true;
    if
    :: (!W || M(DISOWN_IGNORES_W)) && (!B || M(DISOWN_IGNORES_B) || (M(KICK_FOR_WORK_ONLY) && !WORK)) ->
       lazy = t;
       if
       :: !M(DISOWN_KEEPS_SEQ) -> RELEASED(WORK)
       :: else -> owned = false; R = WORK; aged = false; LEAVE
       fi;
       same = same | BIT(t); ticket = true; goto c
    :: !W && B && !M(DISOWN_IGNORES_B) -> /* kick the heartbeat, try again */
       B = false;
       if
       :: !M(KICK_ONLY_CLEARS) -> beat_sem = true
       :: else
       fi;
       goto disown
    :: W && M(DISOWN_DRAINS) -> W = false; goto disown_drains
    :: W && !M(DISOWN_DRAINS) ->   /* attention: the process is saved now, somebody else moves in */
       place[mine] = IN_CALL; current = NONE; leaving = true; goto schedule
    fi
  }

disown_drains: /* Only for a variant. */
  atomic { OWNER; take_records(); goto disown }

c: /* In the C function. It calls back or returns; the ticket is good if nothing at all has changed. */
  atomic {
    if
    :: STUCK -> stuck = stuck | BIT(t); goto end_stuck
    :: callbacks[mine] < CALLBACKS && depth[t] < DEPTH -> callbacks[mine]++; kind = CALLBACK
    :: true -> kind = COMPLETION
    fi;
    if
    :: !owned && (M(OWN_WITHOUT_TICKET) || (ticket && tid == t && ((same & BIT(t)) || M(TICKET_WITHOUT_SEQ)) &&
                  (!W || M(OWN_DROPS_W) || M(OWN_KEEPS_W)) && (!B || M(OWN_KEEPS_W) || M(KICK_FOR_WORK_ONLY)))) ->
       owned = true; tid = t; R = false; ticket = false; ENTER;
       if
       :: M(OWN_DROPS_W) -> W = false
       :: else
       fi;
       assert(lazy == t && current == mine);
       lazy = NONE; in_c[t] = false;
       if
       :: kind == COMPLETION -> call_ends(mine)
       :: else -> callback_begins(mine, t)
       fi;
       mine = NONE; kind = 0;
       goto safepoint
    :: else -> ticket = false
    fi
  }

  /* Contended: first the record, then the attention; then the VM, if it is nobody's. */
  if
  :: M(ATTENTION_BEFORE_PUSH) -> atomic { was_owned = owned; W = true } record[mine] = kind
  :: else -> record[mine] = kind; atomic { was_owned = owned; W = true }
  fi;
  atomic {
    back = ((kind == CALLBACK || depth[t] > 0) && !M(SLEEPER_IN_POOL));
    mine = NONE; kind = 0;
    if
    :: !was_owned && !owned ->
       CLAIM;
       if
       :: M(CLAIM_DROPS_W) -> W = false
       :: else
       fi;
       goto inherit
    :: else -> was_owned = false
    fi;
    if
    :: back -> goto sleep
    :: else -> goto park
    fi
  }

end_stuck:
  false
}

/* A foreign thread that calls back, a timer, Ctrl-C: never the owner. It wakes somebody if the VM is nobody's. */
proctype Service(byte p) {
  byte u = NONE;
  bool was_owned, had_B;
  record[p] = REQUEST;
  atomic { was_owned = owned && !M(SERVICE_ALWAYS_LOOKS); had_B = B && M(WAKE_TRIES_ONCE); W = true }
  atomic {                         /* under the pool's mutex */
    if
    :: !was_owned && !owned && !M(NO_WAKE) && (B == had_B || !M(WAKE_TRIES_ONCE)) ->
       pick_parked();
       if
       :: u != NONE -> HAND
       :: else                     /* some thread is on its way, and will look at W */
       fi
    :: else
    fi
  }
end_answer:
  answered[p]
}

#define BEAT_WANTED (R || (W && !M(BEAT_IGNORES_W) && !M(WAKE_TRIES_ONCE)))
proctype Heartbeat() {
  byte u = NONE;
end_tick:
  do
  :: atomic {                      /* a tick that sees the VM released */
       !owned && BEAT_WANTED ->
       same = same | BEAT;
       if
       :: !M(BEAT_ON_ONE_LOOK) -> aged = true
       :: else
       fi
     }
end_next_tick:
progress_tick:                     /* the clock's progress is not the protocol's: see `run` */
     atomic {                      /* the next one that does anything, so not while nobody is parked; under the pool's mutex */
       owned || !BEAT_WANTED || POOL ->
       if
       :: !owned && BEAT_WANTED && ((same & BEAT) || M(BEAT_WITHOUT_SEQ)) -> pick_parked(); assert(aged); HAND
       :: else
       fi;
       same = same & ~BEAT
     }
  :: atomic {                      /* many ticks with nothing to do */
       !B && !(!owned && BEAT_WANTED) ->
       if
       :: M(BEAT_PARKS_BLINDLY)
       :: else -> B = true; goto parked
       fi
     }
     B = true;
parked:
end_parked:
progress_parked:
     atomic { beat_sem -> beat_sem = false }
  od
}

/* What may be left when nothing moves any more. */
#define FINISHED(p) (place[p] == DONE || (place[p] == UNBORN && (p) >= NP))
#define LEFT(p)     ((place[p] == IN_CALL || place[p] == ACTIVE) && (stuck & BIT(at[p])))
/* The one deadlock that the rules themselves allow: a callback on thread 1 waits for a process that may run only there. */
#define CROSSED     (AFFINITY && place[0] == READY && depth[1] > 0 && TOP(1) != 0 && place[TOP(1)] == WAITING)
#define FAIR(p)     (FINISHED(p) || LEFT(p) || \
  ((stuck || CROSSED) && (place[p] == WAITING || (place[p] == READY && !RUNNABLE(p)))))
#define DRAINED(p)  (record[p] == 0)
active proctype Monitor() {
end_monitor:
  atomic {
    timeout ->
    assert(!owned && inside == 0);
    assert(!W && OVER_ALL(&&, DRAINED));
    if
    :: HEARTBEAT || !STUCK -> assert(OVER_ALL(&&, FAIR))
    :: else
    fi
  }
}

init {
  byte i;
  atomic {
    owned = true; tid = 0; inside = 1;
    i = 0;
    do
    :: i < NP -> place[i] = READY; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < NT -> run Thread(i); i++
    :: else -> break
    od;
    i = NP;
    do
    :: i < NA -> run Service(i); i++
    :: else -> break
    od;
    if
    :: HEARTBEAT -> run Heartbeat()
    :: else
    fi
  }
}
