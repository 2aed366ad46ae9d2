// The rules by which agents move the addresses when Kubernetes is away (docs/design/TAKEOVER.md), as an explicit-state model: two agents, an operator,
// the API server and EC2. Every state that FAULTS faults and USERS acts of people can bring about is visited; names of invariants are TAKEOVER.md's.
//
// usage: takeover-model FAULTS [USERS] [FLAG...]
//   `make model` builds and runs it. The last line says OK or VIOLATED with the names; exit code 0: nothing is violated, 1: something is, or the search
//   was cut short. A violation is told as the shortest way to it: a numbered step a line, `!` before those of the world.
//
// Compiled with -DNO_... one rule of TAKEOVER.md is left out, with -DDRAFT_... an earlier draft stands in its place: each shows a violation,
// some with 3 faults only, some only with an act of people or a flag. -DSTANDALONE: no Kubernetes at all.
//
// Flags, of the world:
//   start2                  n2, the higher address, holds at first
//   boot                    with -DSTANDALONE: nobody holds at first
//   nolink noapi nosrv nocrash nodisk norestart noterm nohealth nofalse noec2 noop nolate noyield nopin nopause nodelete
//                           faults and acts of people that do not happen
//   never                   takeover.permission is Denied: with -DNO_ASK the model of the base rules, DESIGN.md, "Who is master"
//   blip                    an agent's own address or link is away for less than master-down less one interval
//   poison                  a report under an agent's name, or its disk, says the highest term there is, or the highest that is let in
//   imp                     EC2 calls a live machine impaired
//   oprefused               EC2 refuses the operator
//   alost                   an agent's call is lost or late
//   restore, restorelive    the API server is restored from an old backup; the operator restarts, or lives on
//   slow                    an API server that answers may take longer than a second for a report; without it that is a cut
// Flags, of the search:
//   lazy                    every step apart; without it steps of the same second are one
//   anytime                 slow steps (30 s and more) may come before quick ones
//   fair                    looks for circles in which no step that is always possible is left out, and for nothing else
//   big                     up to 200 million states; without it 90 million (16 bytes a state and 8 of index and origin)
//   q                       no traces
//   all                     traces with every state in full
//   most                    the ways with the most calls, too
//
// Two cores, g++ -O2: 2 faults 250 thousand states, 1 s, 26 MB; 3 faults 24 million, 2 to 6 minutes, 0.8 GB; 2 faults and an act of people 65 million, 6 to
// 11 minutes, 2 GB: that one shows what X1 leaves (an ENI that is gone, a node that was cut off before the deletion), by its name.
#include <bits/stdc++.h>
using namespace std;
typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;
typedef unsigned __int128 W;
#ifdef NO_SETTLE // K1: a Master calls before it has listened
constexpr bool SETTLE = 0;
#else
constexpr bool SETTLE = 1;
#endif
#ifdef NO_OBEY // K1: a loaded permission Denied, claim Never or pause does not bind
constexpr bool OBEY = 0;
#else
constexpr bool OBEY = 1;
#endif
#ifdef NO_WAIT // K2: calls although the operator has the report and lives
constexpr bool WAIT = 0;
#else
constexpr bool WAIT = 1;
#endif
#ifdef NO_LEASE // K2: only the report that was not accepted counts, never the operator's Lease
constexpr bool LEASE = 0;
#else
constexpr bool LEASE = 1;
#endif
#ifdef DRAFT_LEASE // K2 as drafted: a Lease that cannot be read is not a Lease that is not renewed
constexpr bool BLIND = 0;
#else
constexpr bool BLIND = 1;
#endif
#ifdef NO_RIGHT // K3: takes whenever the addresses are elsewhere
constexpr bool RIGHT = 0;
#else
constexpr bool RIGHT = 1;
#endif
#ifdef NO_HEAR // K3: a Master's advert, heard as Backup, does not renew the right
constexpr bool HEAR = 0;
#else
constexpr bool HEAR = 1;
#endif
#ifdef NO_ARRIVAL // K3: only an own call spends the right, not the arrival by somebody else's
constexpr bool ARRIVAL = 0;
#else
constexpr bool ARRIVAL = 1;
#endif
#ifdef NO_DISK // K3: that the right is spent is forgotten by a restart
constexpr bool DISK = 0;
#else
constexpr bool DISK = 1;
#endif
#ifdef DRAFT_A3 // K3 as drafted: every advert of another Master that it beats renews the right
constexpr bool A3 = 1;
#else
constexpr bool A3 = 0;
#endif
#ifdef NO_PLACE // K4 off: takes from wherever the address is
constexpr bool PLACE = 0;
#else
constexpr bool PLACE = 1;
#endif
#ifdef NO_GONE // K4: an ENI that EC2 no longer knows is not the peer's any more
constexpr bool GONE = 0;
#else
constexpr bool GONE = 1;
#endif
#ifdef ONE_READING // K4: a single reading, which may be stale, says that the addresses have arrived
constexpr bool ONEREAD = 1;
#else
constexpr bool ONEREAD = 0;
#endif
#ifdef NO_OFFER // K5 off
constexpr bool OFFER = 0;
#else
constexpr bool OFFER = 1;
#endif
#ifdef PINNED_OFFERS // K5: a pinned node (`claim: Always`) offers too
constexpr bool PINOFFER = 0;
#else
constexpr bool PINOFFER = 1;
#endif
#ifdef NO_DEAD // K6 off
constexpr bool DEAD = 0;
#else
constexpr bool DEAD = 1;
#endif
#ifdef NO_ONCE // K6: a finding of "impaired" renews the right again and again
constexpr bool ONCE = 0;
#else
constexpr bool ONCE = 1;
#endif
#ifdef NO_ASK // K7 off: the operator repairs from its cached report, as it does without policy Agent
constexpr bool ASK = 0;
#else
constexpr bool ASK = 1;
#endif
#ifdef DRAFT_A4 // K7 as drafted: any renewal of the Lease or change of the report is sign enough
constexpr bool A4 = 1;
#else
constexpr bool A4 = 0;
#endif
#ifdef DRAFT_DRIFT // K7 as drafted: asks only about drift; a report found at the operator's start is acted on at once
constexpr bool DRIFTONLY = 1;
#else
constexpr bool DRIFTONLY = 0;
#endif
#ifdef PIN_BLIND // K7: the operator moves to a pinned node without asking, again and again
constexpr bool PINBLIND = 1;
#else
constexpr bool PINBLIND = 0;
#endif
#ifdef NO_PRIO // K8 off: an agent without API advertises 100, whatever IMDS says
constexpr bool PRIO = 0;
#else
constexpr bool PRIO = 1;
#endif
#ifdef STANDALONE // no Kubernetes at all
constexpr bool ALONE = 1;
#else
constexpr bool ALONE = 0;
#endif
#ifndef AS_DRAFTED // K4 place remembered, deletion waits for acknowledgements, standalone takes from nowhere without a right
constexpr bool KP = 1, ACKDEL = 1, NOWHERE = 1;
#else
constexpr bool KP = 0, ACKDEL = 0, NOWHERE = 0;
#endif
#ifdef NO_CANNOT // K2 (c): the operator never says that it cannot
constexpr bool CANNOT = 0;
#else
constexpr bool CANNOT = 1;
#endif
#ifdef ARRIVAL_EC2 // K4: the arrival is seen by readings of EC2 alone, so not while EC2 cannot be reached
constexpr bool ARREC = 1;
#else
constexpr bool ARREC = 0;
#endif
#ifdef NO_GRACE // "Who is master", a blip: a Master without its own address is in Fault at once
constexpr bool GRACE = 0;
#else
constexpr bool GRACE = 1;
#endif
#ifdef DRAFT_SKEW // V3: a spec that is loaded after a resignation makes the Backup listen anew, as long as the one that has resigned
constexpr bool AFRESH = 1;
#else
constexpr bool AFRESH = 0;
#endif
#ifdef NO_STEP // "Term": a report may say any term; nothing is above the highest
constexpr bool STEP = 0;
#else
constexpr bool STEP = 1;
#endif
constexpr int END = 15; // without STEP the highest term there is
static set<string> FL;
static bool has(const char *s) { return FL.count(s); }
enum { DEADM = 0, BACKUP = 1, MASTER = 2, FAULT = 3 };
enum { NORMAL = 0, ALWAYS = 1, NEVER = 2 };
enum { NONE = 2, UNKNOWN = 3 };
static bool EAGER = true, ANYTIME = false, has_never = false, SLOW = false;
// A state of the world, packed into 128 bits by each(). [i]: of agent n1, n2.
struct S {
  u8 vr[2];   // VRRP state
  u8 ls[2];   // a Master still listens
  u8 inc[2];  // the term of this claim is not taken yet
  u8 term[2]; // the term held, or the highest seen
  u8 rz[2];   // has resigned to a Backup
  u8 api[2];  // path to the API server
  u8 ec[2];   // path to EC2
  u8 lk[2];   // its adverts reach the other
  u8 hf[2];   // unhealthy
  u8 gone[2]; // the instance is terminated
  u8 imp[2];  // EC2 calls it impaired
  u8 sp[2];   // priority 200 in spec
  u8 ap[2];   //   and loaded
  u8 x4[2];   // 40 s without the API
  u8 im[2];   // IMDS delivers here
  u8 scl[2];  // claim in spec
  u8 acl[2];  //   and loaded
  u8 spo[2];  // takeover permitted in spec
  u8 apo[2];  //   and loaded
  u8 rst[2];  // state in the stored report
  u8 rt[2];   // term in the stored report
  u8 cst[2];  // both as the operator has read them
  u8 ct[2];
  u8 r[2];        // the right to take
  u8 took[2];     // spent, on disk
  u8 ev[2];       // a finding of "impaired" is already used
  u8 fl[2];       // a call of its own is under way
  u8 kc[2];       // takes from a live Master in this cut of the link
  u8 pg[2];       // K4: the last reading that showed the address anywhere showed it at the peer
  u8 al[2];       // a late call of its own
  u8 bl[2];       // its own address or link is away for a moment
  u8 sl;          // the Backup that has heard a resignation listens anew
  u8 scn[2];      // operatorCannot in spec
  u8 acn[2];      //   and loaded
  u8 oc;          // EC2 refuses the operator's calls
  u8 op;          // the operator lives
  u8 srv;         // the API server lives
  u8 view;        // where EC2 delivers, as the operator has read it
  u8 of;          // the operator's call under way
  u8 gh;          // a late call of an operator
  u8 stt;         // status.term
  u8 fr;          // the operator's report of its target is fresh
  u8 ask;         // it has asked for an echo
  u8 ho;          // where EC2 delivers
  u8 old;         // an older reading of it
  u8 sv[2];       // has called or held since it last heard a Master as Backup
  u8 pin, pz, dl; // pinned node; paused; 1: is being deleted, 2: is deleted
  u8 fb, us;      // faults and acts of people that may still come
};
template <class F> static inline void each(S &s, F f) {
  for (int i = 0; i < 2; i++) {
    f(s.vr[i], 2);
    f(s.ls[i], 1);
    f(s.inc[i], 1);
    f(s.term[i], 4);
    f(s.rz[i], 1);
    f(s.api[i], 1);
    f(s.ec[i], 1);
    f(s.lk[i], 1);
    f(s.hf[i], 1);
    f(s.gone[i], 1);
    f(s.imp[i], 1);
    f(s.sp[i], 1);
    f(s.ap[i], 1);
    f(s.x4[i], 1);
    f(s.im[i], 1);
    f(s.scl[i], 2);
    f(s.acl[i], 2);
    f(s.spo[i], 1);
    f(s.apo[i], 1);
    f(s.rst[i], 2);
    f(s.rt[i], 4);
    f(s.cst[i], 2);
    f(s.ct[i], 4);
    f(s.r[i], 1);
    f(s.took[i], 1);
    f(s.ev[i], 1);
    f(s.fl[i], 1);
    f(s.kc[i], 2);
    f(s.pg[i], 1);
    f(s.al[i], 1);
    f(s.scn[i], 1);
    f(s.acn[i], 1);
    f(s.bl[i], 1);
  }
  f(s.sl, 1);
  f(s.oc, 1);
  f(s.op, 1);
  f(s.srv, 1);
  f(s.view, 2);
  f(s.of, 2);
  f(s.gh, 2);
  f(s.stt, 4);
  f(s.fr, 1);
  f(s.ask, 1);
  f(s.ho, 2);
  f(s.old, 2);
  f(s.sv[0], 1);
  f(s.sv[1], 1);
  f(s.pin, 2);
  f(s.pz, 1);
  f(s.dl, 2);
  f(s.fb, 3);
  f(s.us, 2);
}
static W pack(S &s) {
  W x = 0;
  int p = 0;
  each(s, [&](u8 &v, int b) {
    x |= (W)v << p;
    p += b;
  });
  return x;
}
static S unpack(W x) {
  S s;
  int p = 0;
  each(s, [&](u8 &v, int b) {
    v = (u8)(x >> p) & ((1u << b) - 1);
    p += b;
  });
  return s;
}
static inline bool con(const S &s, int i) { return s.vr[i] && s.api[i] && s.srv; }
static inline bool hears(const S &s, int i) { return s.vr[1 - i] == MASTER && s.lk[1 - i] && !s.bl[0] && !s.bl[1]; }
static inline int prio(const S &s, int i) {
  if (ALONE) return s.im[i] && PRIO ? 2 : i == 0;
  return s.x4[i] ? (PRIO && s.im[i]) : s.ap[i] ? 2 : 0;
}
static inline bool beats(const S &s, int i) {
  int a = prio(s, i), b = prio(s, 1 - i);
  return a > b || (a == b && i == 1);
}
static inline bool accepted(const S &s, int i) { return s.vr[i] == MASTER && !s.inc[i] && s.rst[i] == MASTER && s.rt[i] == s.term[i]; }
// K2: the operator had its chance
static inline bool outOfReach(const S &s, int i) {
  if (!WAIT) return true;
  if (CANNOT && s.acn[i] && accepted(s, i) && s.ho != i) return true;
  if (!accepted(s, i) && (SLOW || !con(s, i))) return true;
  if (!LEASE) return false;
  if (con(s, i)) return !s.op;
  return BLIND;
}
static u64 gapcap = 0;
static int om(const S &s);
static int target(const S &s);
static void canon(S &s) {
  for (int i = 0; i < 2; i++) {
    int j = 1 - i;
    if (s.gone[i]) {
      s.lk[0] = s.lk[1] = 1;
      s.api[i] = 1;
      s.took[i] = 0;
      s.sp[i] = 0;
      s.scl[i] = s.acl[i] = 0;
      s.scn[i] = s.acn[i] = 0;
    }
    if (!s.vr[i]) {
      s.x4[i] = s.im[i] = s.r[i] = s.ev[i] = 0;
      s.ec[i] = 1;
      s.hf[i] = s.imp[i] = 0;
    }
    if (s.vr[i] != MASTER) s.ls[i] = s.inc[i] = 0;
    if (s.vr[i] != BACKUP || s.vr[j] != BACKUP) s.rz[i] = 0;
    if ((s.vr[i] == BACKUP || s.vr[i] == FAULT) && hears(s, i)) {
      if (HEAR) s.r[i] = 1, s.took[i] = 0;
      s.kc[i] = 0;
    } // K3: a Master's advert heard renews the right
    if (s.vr[i] && !s.x4[i] && !ALONE) s.im[i] = s.ho == i;
    if (!s.imp[j] && s.vr[j]) s.ev[i] = 0;
    if (!KP || !s.vr[i]) s.pg[i] = KP;
    else if (s.ec[i]) {
      if (s.ho == j) s.pg[i] = 1;
      else if (s.ho == i || !s.gone[j]) s.pg[i] = 0;
    }
    if (s.cst[i] != MASTER) s.ct[i] = 0;
  }
  if (s.rz[0] && s.rz[1]) s.rz[0] = s.rz[1] = 0;
  if (!s.rz[0] && !s.rz[1]) s.sl = 0;
  for (int i = 0; i < 2; i++)
    if (!s.vr[i]) s.bl[i] = 0;
  if (!ONEREAD) s.old = s.ho;
  for (int i = 0; i < 2; i++) {
    int j = 1 - i;
    if (s.gone[i]) s.sv[i] = 0;
    else if ((s.vr[i] == BACKUP || s.vr[i] == FAULT) && hears(s, i)) s.sv[i] = 0;
    else if (s.vr[i] == MASTER && !s.ls[i] && s.ho == i) s.sv[i] = 1;
    (void)j;
  }
  if (EAGER) {
    for (int i = 0; i < 2; i++)
      if (ARRIVAL && !ONEREAD && s.vr[i] == MASTER && !s.ls[i] && !s.fl[i] && s.ho == i && (!ARREC || s.ec[i])) s.r[i] = 0;
    if (s.op && s.of == NONE && s.view < 2 && s.view == s.ho && target(s) == s.view) s.fr = 0;
  }
  if (!s.op) {
    s.fr = s.ask = 0;
    s.view = UNKNOWN;
    s.cst[0] = s.cst[1] = s.ct[0] = s.ct[1] = 0;
  }
  if (s.lk[0] && s.lk[1]) s.kc[0] = s.kc[1] = 0;
  u8 *p[7] = {&s.term[0], &s.term[1], &s.rt[0], &s.rt[1], &s.ct[0], &s.ct[1], &s.stt};
  u32 m = 0;
  for (auto q : p) m |= 1u << *q;
  m &= ~1u;
  u8 map_[32] = {0};
  int prev = -1, cur = 0;
  if (!STEP) m &= ~(1u << END), map_[END] = END;
  for (int v = 1; v < 32; v++)
    if (m >> v & 1) {
      cur = prev < 0 ? 1 : cur + min(2, v - prev);
      prev = v;
      map_[v] = cur;
    }
  if (cur > (STEP ? 15 : END - 1)) {
    gapcap++;
    cur = 0;
    for (int v = 1; v < 32; v++)
      if (m >> v & 1) map_[v] = ++cur;
  }
  for (auto q : p) *q = map_[*q];
}
static int om(const S &s) {
  bool a = s.cst[0] == MASTER, b = s.cst[1] == MASTER;
  int m = a && b ? (s.ct[0] != s.ct[1] ? s.ct[0] < s.ct[1] : s.view < 2 ? s.view : 0) : a ? 0 : b ? 1 : NONE;
  return m < 2 && s.ct[m] < s.stt ? NONE : m;
}
static int target(const S &s) { return s.pin < 2 ? s.pin : om(s); }
enum { PLAIN = 0, ENV = 1, CALLOP = 2, CALLAG = 4, HEAL = 8, MUTE = 16 };
struct T {
  W to;
  const char *a;
  u8 i, k;
};
struct Bad {
  const char *n;
  u64 k = 0;
  W at = 0;
  const char *a = 0;
};
static Bad W1{"W1: an agent calls although its report is accepted and the operator in sight"},
    P4{"P4: takes from a live, healthy, connected Master that hears and beats it"},
    P4b{"P4b: takes twice in one cut of the link from a live, healthy, connected Master"},
    P5{"P5: a call although `Denied`, `Never` or a pause is loaded"}, X1{"X1: a call begun after the pair was deleted"},
    Q1{"Q1: a first claim waits minutes for EC2's word although the peer's machine is dead"},
    P9{"P9: a Master takes back from a live Master what it held without a call of its own"},
    V3{"V3: who has resigned is Master again before who heard it, and may claim, is"},
    X1L{"X1L: a call begun before the deletion lands after it (residual risk)"};
static bool checking = false;
static void hit(Bad &b, W x, const char *a) {
  if (!b.k++) {
    b.at = x;
    b.a = a;
  }
}
static void succ(W x, vector<T> &out) {
  out.clear();
  const S s = unpack(x);
  S n;
  auto add = [&](const char *a, int i, int k) {
    canon(n);
    W y = pack(n);
    if (y != x) out.push_back({y, a, (u8)i, (u8)k});
  };
  auto top = [&](int i) {
    int highest = max({s.rt[0], s.rt[1], s.stt, s.term[i]});
    return (u8)(!STEP && highest >= END - 1 ? END : highest + 1);
  };
  auto claim = [&](S &n, int i) {
    n.vr[i] = MASTER;
    n.ls[i] = 1;
    n.inc[i] = 1;
    if (s.lk[i]) n.rz[1 - i] = 0;
  };
  bool ext = s.dl == 2;
  int m = om(s), t = s.pin < 2 ? s.pin : m;
  for (int i = 0; i < 2; i++) {
    int j = 1 - i;
    bool alw = s.acl[i] == ALWAYS;
    // the election
    // A blip is over before the Backup's time is.
    bool away = s.bl[i] || (s.bl[j] && s.vr[j] == MASTER && s.lk[j]);
    bool awaits = s.rz[i] && s.vr[j] == BACKUP && s.acl[j] != NEVER && s.lk[i];
    if (s.vr[i] == BACKUP && !hears(s, i) && !away && s.acl[i] != NEVER && (!s.hf[i] || alw) && (!awaits || s.sl)) {
      if (checking && awaits) hit(V3, x, "V3");
      n = s;
      claim(n, i);
      add("claim", i, 0);
    }
    if (alw && !s.bl[i] && (s.vr[i] == BACKUP || s.vr[i] == FAULT) && (hears(s, i) ? beats(s, i) : s.vr[i] == FAULT)) {
      n = s;
      claim(n, i);
      add("claim(Always)", i, 0);
    }
    if (s.vr[i] == MASTER && s.hf[i] && !alw) {
      n = s;
      n.vr[i] = FAULT;
      add("resign->Fault", i, 0);
    }
    if (s.vr[i] == MASTER && s.acl[i] == NEVER) {
      n = s;
      n.vr[i] = BACKUP;
      n.rz[i] = !s.bl[i];
      add("resign(Never)", i, 0);
    }
    if (s.bl[i]) {
      n = s;
      n.bl[i] = 0;
      if (s.vr[i] == FAULT && !s.hf[i]) n.vr[i] = BACKUP;
      add("its own address is back", i, 0);
    }
    if (s.vr[i] == MASTER && hears(s, i) && beats(s, j)) {
      n = s;
      n.vr[i] = s.hf[i] ? FAULT : BACKUP;
      add("demote", i, 0);
    }
    if (s.vr[i] == MASTER && s.ls[i] && !(hears(s, i) && s.lk[i] && beats(s, j))) {
      n = s;
      n.ls[i] = 0;
      add("listened", i, 0);
    }
    // reports and terms, as in "Who is master"
    if (con(s, i) && !ext) {
      if (s.vr[i] == MASTER) {
        if (!s.ls[i]) {
          if (s.inc[i]) {
            n = s;
            n.term[i] = top(i);
            n.inc[i] = 0;
            if (EAGER) {
              n.rst[i] = MASTER;
              n.rt[i] = n.term[i];
            }
            add(EAGER ? "takes a term, reports Master" : "takes a term", i, 0);
          } else if (!accepted(s, i)) {
            n = s;
            n.rst[i] = MASTER;
            n.rt[i] = s.term[i];
            add("reports Master", i, 0);
          } else if (s.rst[j] == MASTER && s.rt[j] >= s.term[i]) {
          } // slow, below
          else if (s.rt[j] > s.term[i] || s.stt > s.term[i]) {
            n = s;
            n.term[i] = top(i);
            if (EAGER) n.rt[i] = n.term[i];
            add("takes a new term (below the floor)", i, 0);
          }
        }
      } else {
        u8 h = max({s.term[i], s.rt[0], s.rt[1]});
        if (s.rst[i] != s.vr[i] || s.rt[i] != h) {
          n = s;
          n.term[i] = h;
          n.rst[i] = s.vr[i];
          n.rt[i] = h;
          add(s.vr[i] == BACKUP ? "reports Backup" : "reports Fault", i, 0);
        }
      }
      if (s.ap[i] != s.sp[i] || s.x4[i] || s.acl[i] != s.scl[i] || s.apo[i] != s.spo[i] || s.acn[i] != s.scn[i]) {
        n = s;
        n.ap[i] = s.sp[i];
        n.x4[i] = 0;
        n.acl[i] = s.scl[i];
        n.apo[i] = s.spo[i];
        n.acn[i] = s.scn[i];
        if (AFRESH && s.rz[j] && s.vr[i] == BACKUP && (s.ap[i] != s.sp[i] || s.acl[i] != s.scl[i])) n.sl = 1;
        add("loads its spec", i, 0);
      }
    } else if (!EAGER && s.vr[i] && !s.x4[i] && !ALONE) {
      n = s;
      n.x4[i] = 1;
      add("40 s without API", i, 0);
    }
    if (s.vr[i] && s.im[i] != (s.ho == i)) {
      n = s;
      n.im[i] = s.ho == i;
      add("IMDS follows", i, 0);
    }
    // takeover
    if (s.vr[i] == MASTER && !s.ls[i] && s.r[i] && ARRIVAL && !s.fl[i] && (!ARREC || s.ec[i]) && (s.ho == i || (ONEREAD && s.old == i))) {
      n = s;
      n.r[i] = 0;
      add("sees the addresses arrive", i, 0);
    }
    {
      bool may = s.vr[i] == MASTER && (!s.ls[i] || !SETTLE) && (!OBEY || (s.apo[i] && s.acl[i] != NEVER)) && s.ec[i] && !s.fl[i] &&
                 (s.r[i] || !RIGHT) && outOfReach(s, i);
      bool place = s.ho == j || (s.ho == NONE && (!PLACE || ALONE || (GONE && s.gone[j] && (!KP || s.pg[i]))));
      if (may && place) {
        n = s;
        n.fl[i] = 1;
        n.took[i] = 1;
        n.sv[i] = 1;
        bool live = s.vr[j] == MASTER && !s.hf[j] && con(s, j) && s.ho == j;
        if (live && n.kc[i] < 2) n.kc[i]++;
        if (checking) {
          if (accepted(s, i) && s.op && con(s, i) && !s.acn[i]) hit(W1, x, "W1");
          if (live && s.lk[0] && s.lk[1] && beats(s, j) && has("nolink")) hit(P4, x, "P4");
          if (s.kc[i] == 1 && live) hit(P4b, x, "P4b");
          if (s.sv[i] && s.vr[j] == MASTER && !s.hf[j] && s.ho == j && !s.took[i]) hit(P9, x, "P9");
          if (!s.apo[i] || s.acl[i] == NEVER) hit(P5, x, "P5");
          if (s.dl == 2) hit(X1, x, "X1");
        }
        add("AGENT CALLS EC2", i, CALLAG);
      }
    }
    if (s.fl[i]) {
      n = s;
      n.fl[i] = 0;
      if (!s.gone[i]) {
        n.old = s.ho;
        n.ho = i;
      }
      if (s.vr[i]) n.r[i] = 0;
      n.sv[i] = 1;
      if (checking && s.dl == 2) hit(X1L, x, "X1L");
      add("agent's call lands ->", i, 0);
    }
    if (s.al[i]) {
      n = s;
      n.al[i] = 0;
      if (!s.gone[i]) {
        n.old = s.ho;
        n.ho = i;
      }
      add("agent's LATE call lands ->", i, ENV);
      n = s;
      n.al[i] = 0;
      add("agent's late call is lost ->", i, 0);
    }
    if (A3 && s.vr[i] == MASTER && hears(s, i) && beats(s, i) && s.ho == j && !s.r[i] && outOfReach(s, i)) {
      n = s;
      n.r[i] = 1;
      add("wins by V4: a new shot", i, 0);
    }
    // the operator reads
    if (s.op && s.srv && !ext && (s.cst[i] != s.rst[i] || (s.rst[i] == MASTER && s.ct[i] != s.rt[i]))) {
      n = s;
      n.cst[i] = s.rst[i];
      n.ct[i] = s.rt[i];
      int o = om(n), w = target(n);
      if (w != t) {
        n.fr = 0;
        n.ask = 0;
      }
      if (w == i) n.fr = 1;
      if (EAGER && o < 2 && n.ct[o] > n.stt) n.stt = n.ct[o];
      add("op reads the report of", i, 0);
    }
  }
  if (s.op && !ext) {
    bool busy = s.of < 2;
    bool fresh = s.fr || !ASK || (s.pin < 2 && PINBLIND);
    if (t < 2 && !busy && !s.pz && !s.dl && s.view < 3 && s.view != t && !s.gone[t] && (s.view == NONE || fresh)) {
      n = s;
      if (!s.oc) {
        n.of = t;
        add("OP CALLS EC2 ->", t, CALLOP);
      } else if (CANNOT && !s.scn[t] && s.srv) {
        n.scn[t] = 1;
        add("op is refused, says that it cannot", t, 0);
      }
    }
    if (s.srv)
      for (int i = 0; i < 2; i++)
        if (s.scn[i] && (i != t || s.view == i)) {
          n = s;
          n.scn[i] = 0;
          add("op takes back that it cannot", i, 0);
        }
    if (!busy && s.view != s.ho) {
      n = s;
      n.view = s.ho;
      if (n.view == t) n.fr = 0;
      add("op reads EC2: at", s.ho == NONE ? 9 : s.ho, 0);
    }
    if (!busy && s.fr && t < 2 && s.view == t && s.ho == t) {
      n = s;
      n.fr = 0;
      add("op confirms", t, 0);
    }
    if (ASK && t < 2 && !busy && s.view == 1 - t && !s.fr && !s.ask && s.srv && !s.pz && !s.dl) {
      n = s;
      n.ask = 1;
      add("op asks (probe)", t, 0);
    }
    if (s.ask && t < 2 && con(s, t) && s.srv && (A4 || s.pin < 2 || (accepted(s, t) && s.ct[t] == s.rt[t] && s.cst[t] == s.rst[t]))) {
      n = s;
      n.fr = 1;
      n.ask = 0;
      add(A4 ? "shows a sign of life" : s.pin < 2 ? "echoes the probe" : "echoes the probe as Master", t, 0);
    }
    if (s.srv) {
      if (m < 2 && s.ct[m] > s.stt) {
        n = s;
        n.stt = s.ct[m];
        add("op: status.term", m, 0);
      }
      int pm = s.pin < 2 ? s.pin : m < 2 && s.view == m ? m : NONE;
      if (pm < 2 && !s.pz && !s.dl && (s.sp[pm] != 1 || s.sp[1 - pm] != 0)) {
        n = s;
        n.sp[pm] = 1;
        n.sp[1 - pm] = 0;
        add("op sets priorities", pm, 0);
      }
      for (int i = 0; i < 2; i++) {
        u8 c = s.dl ? NEVER : s.pin == NONE ? NORMAL : s.pin == i ? ALWAYS : NEVER, po = !s.pz && !s.dl && !has_never;
        if (s.pz && !s.dl) c = s.scl[i];
        if (s.gone[i]) c = s.scl[i];
        if (s.scl[i] != c || s.spo[i] != po) {
          n = s;
          n.scl[i] = c;
          n.spo[i] = po;
          add("op writes claim, takeover to", i, 0);
        }
      }
      if (s.dl == 1 && !busy && !s.oc && s.spo[0] == 0 && s.spo[1] == 0 &&
          (!ACKDEL || ((!con(s, 0) || (!s.apo[0] && !s.fl[0])) && (!con(s, 1) || (!s.apo[1] && !s.fl[1]))))) {
        n = s;
        n.ho = NONE;
        n.dl = 2;
        add("op UNASSIGNS, finalizer goes", 9, CALLOP);
      }
    } else {
      n = s;
      n.op = 0;
      if (busy) {
        if (s.gh == NONE) n.gh = s.of;
        n.of = NONE;
      }
      add("op loses its lease", 9, 0);
    }
  }
  if (s.of < 2) {
    n = s;
    n.of = NONE;
    if (!s.gone[s.of]) {
      n.old = s.ho;
      n.ho = s.of;
    }
    n.view = n.ho;
    if (n.view == t) n.fr = 0;
    if (s.srv) n.scn[s.of] = 0;
    add("op's call lands ->", s.of, 0);
  }
  if (s.gh < 2) {
    n = s;
    n.gh = NONE;
    if (!s.gone[s.gh]) {
      n.old = s.ho;
      n.ho = s.gh;
    }
    if (checking && s.dl == 2) hit(X1L, x, "X1L");
    add("LATE call lands ->", s.gh, ENV);
    n = s;
    n.gh = NONE;
    add("late call is lost", s.gh, 0);
  }
  if (ONEREAD && s.old != s.ho) {
    n = s;
    n.old = s.ho;
    add("readings of EC2 catch up", 9, 0);
  }
  if (s.dl == 2)
    for (int i = 0; i < 2; i++)
      if (con(s, i) && (s.vr[i] != BACKUP || s.acl[i] != NEVER)) {
        n = s;
        n.vr[i] = BACKUP;
        n.acl[i] = NEVER;
        n.apo[i] = 0;
        add("forgets the pair", i, 0);
      }
  // slow steps: 30 s and more, so everything quick has happened by then
  bool calm = true;
  for (auto &t : out)
    if (!(t.k & ENV)) calm = false;
  if (calm || ANYTIME)
    for (int i = 0; i < 2; i++) {
      int j = 1 - i;
      if (con(s, i) && !ext && accepted(s, i) && !s.ls[i] && s.rst[j] == MASTER && s.rt[j] >= s.term[i] && !con(s, j)) {
        n = s;
        n.term[i] = top(i);
        if (EAGER) n.rt[i] = n.term[i];
        add("takes a new term (peer mute for 40 s)", i, 0);
      }
      if (EAGER && !ALONE && s.vr[i] && !s.x4[i] && !(con(s, i) && !ext)) {
        n = s;
        n.x4[i] = 1;
        add("40 s without API", i, 0);
      }
      if (OFFER && (s.vr[i] == BACKUP || s.vr[i] == FAULT) && (s.acl[i] != ALWAYS || !PINOFFER) && s.ho == i && hears(s, i) && s.lk[i] && !s.r[j] &&
          !s.ls[j] && outOfReach(s, j)) {
        n = s;
        n.r[j] = 1;
        n.took[j] = n.sv[j] = 0;
        add("offers the addresses (priority 0)", i, 0);
      }
      if (checking && s.vr[i] == MASTER && !s.ls[i] && s.ho == j && !s.vr[j] && s.ec[i] && !s.r[i] && !s.sv[i] && outOfReach(s, i)) hit(Q1, x, "Q1");
      if (DEAD && s.vr[i] == MASTER && !s.ls[i] && s.ec[i] && !s.r[i] &&
          ((s.ho == NONE && ((NOWHERE && ALONE) || (s.gone[j] && (!KP || ALONE || s.pg[i])))) ||
           (s.ho == j && (!s.vr[j] || s.imp[j]) && (!s.ev[i] || !ONCE))) &&
          s.gh == NONE && !s.fl[j] && !s.al[j] && outOfReach(s, i)) {
        n = s;
        n.r[i] = 1;
        n.took[i] = n.kc[i] = n.sv[i] = 0;
        n.ev[i] = 1;
        add("EC2 says the peer's machine is down, to", i, 0);
      }
    }
  // heals: may happen, need not
  for (int i = 0; i < 2; i++) {
    if (!s.lk[i]) {
      n = s;
      n.lk[i] = 1;
      add("link heals from", i, ENV | HEAL);
    }
    if (!s.api[i]) {
      n = s;
      n.api[i] = 1;
      add("API path heals", i, ENV | MUTE);
    }
    if (!s.ec[i]) {
      n = s;
      n.ec[i] = 1;
      add("EC2 path heals", i, ENV);
    }
    if (!s.vr[i] && !s.gone[i] && (s.term[i] || (s.api[i] && s.srv) || ALONE)) {
      n = s;
      n.vr[i] = BACKUP;
      n.x4[i] = !ALONE;
      n.im[i] = s.ho == i;
      n.r[i] = !(DISK && s.took[i]);
      n.sv[i] = s.took[i];
      n.apo[i] = s.apo[i];
      if (s.dl == 2 && s.term[i] == 0) n.vr[i] = 0;
      add("starts", i, ENV | MUTE);
    }
    if (s.hf[i]) {
      n = s;
      n.hf[i] = 0;
      if (s.vr[i] == FAULT) n.vr[i] = BACKUP;
      add("healthy", i, ENV);
    }
    if (s.imp[i]) {
      n = s;
      n.imp[i] = 0;
      add("no longer called impaired", i, ENV);
    }
  }
  if (s.oc) {
    n = s;
    n.oc = 0;
    add("EC2 takes the operator's calls again", 9, ENV);
  }
  if (!ALONE && !s.srv) {
    n = s;
    n.srv = 1;
    add("API server back", 9, ENV | MUTE);
  }
  if (!ALONE && !s.op && s.srv && !ext) {
    n = s;
    n.op = 1;
    n.view = UNKNOWN;
    for (int i = 0; i < 2; i++) {
      n.cst[i] = s.rst[i];
      n.ct[i] = s.rst[i] == MASTER ? s.rt[i] : 0;
    }
    n.fr = DRIFTONLY && target(n) < 2;
    n.ask = 0;
    add("op starts", 9, ENV | MUTE);
  }
  if (s.us) {
    S b = s;
    b.us--;
    static bool np = has("nopin"), nz = has("nopause"), nd = has("nodelete");
    if (!np && !s.dl)
      for (int p = 0; p < 3; p++)
        if (p != s.pin) {
          n = b;
          n.pin = p;
          n.ask = 0;
          n.fr = s.op && p < 2;
          add(p == NONE ? "USER UNPINS" : "USER PINS", p == NONE ? 9 : p, ENV);
        }
    if (!nz && !s.dl) {
      n = b;
      n.pz = !s.pz;
      add(s.pz ? "USER UNPAUSES" : "USER PAUSES", 9, ENV);
    }
    if (!nd && !s.dl && !s.pz) {
      n = b;
      n.dl = 1;
      n.pin = NONE;
      add("USER DELETES (Unassign)", 9, ENV);
    }
  }
  if (s.fb) {
    S b = s;
    b.fb--;
    static const bool nl = has("nolink"), na = has("noapi") || ALONE, ns = has("nosrv") || ALONE, nc = has("nocrash"), nd = has("nodisk") || ALONE,
                      nr = has("norestart"), nt = has("noterm"), nh = has("nohealth"), nf = has("nofalse"), ne = has("noec2"),
                      no = has("noop") || ALONE, ng = has("nolate") || ALONE, ny = has("noyield"), im = has("imp"),
                      bp = has("blip"), po = has("poison");
    for (int i = 0; i < 2; i++) {
      int j = 1 - i;
      if (!nl && s.lk[i] && !s.gone[0] && !s.gone[1]) {
        n = b;
        n.lk[i] = 0;
        add("LINK CUT from", i, ENV);
        if (i == 0 && s.lk[1]) {
          n = b;
          n.lk[0] = n.lk[1] = 0;
          add("LINK CUT both ways", 9, ENV);
        }
      }
      if (!na && s.api[i] && !s.gone[i]) {
        n = b;
        n.api[i] = 0;
        if (s.vr[i] == MASTER && !accepted(s, i)) n.inc[i] = 1;
        add("API PATH CUT", i, ENV | MUTE);
      }
      if (!ne && s.ec[i] && s.vr[i]) {
        n = b;
        n.ec[i] = 0;
        add("EC2 PATH CUT", i, ENV);
      }
      if (!nc && s.vr[i]) {
        n = b;
        n.vr[i] = 0;
        add("MACHINE CRASHES", i, ENV);
        if (!nd) {
          n = b;
          n.vr[i] = 0;
          n.term[i] = 0;
          n.ap[i] = 0;
          n.acl[i] = NORMAL;
          n.acn[i] = 0;
          n.took[i] = n.kc[i] = n.sv[i] = 0;
          add("MACHINE CRASHES, DISK LOST", i, ENV);
        }
      }
      if (!nr && s.vr[i]) {
        n = b;
        n.vr[i] = s.hf[i] ? FAULT : BACKUP;
        n.ls[i] = n.inc[i] = 0;
        n.x4[i] = !ALONE;
        n.ev[i] = 0;
        n.r[i] = !(DISK && s.took[i]);
        n.sv[i] = s.took[i];
        add("AGENT RESTARTS", i, ENV | MUTE);
      }
      if (!nt && !s.gone[0] && !s.gone[1]) {
        n = b;
        n.vr[i] = 0;
        n.gone[i] = 1;
        if (s.ho == i) n.ho = n.old = NONE;
        if (s.gh == i) n.gh = NONE;
        add("INSTANCE TERMINATED", i, ENV);
      }
      if (bp && s.vr[i] && !s.bl[i]) {
        n = b;
        n.bl[i] = 1;
        if (!GRACE) n.vr[i] = FAULT;
        add("OWN ADDRESS AWAY FOR A MOMENT", i, ENV | MUTE);
      }
      if (po && s.srv && s.op) {
        n = b;
        n.rst[i] = MASTER;
        n.rt[i] = STEP ? top(i) + 1 : END;
        add("A REPORT IS FORGED", i, ENV);
        n = b;
        n.term[i] = STEP ? top(i) + 1 : END;
        add("DISK SAYS A HIGH TERM", i, ENV);
      }
      if (!nh && !s.hf[i] && s.vr[i]) {
        n = b;
        n.hf[i] = 1;
        if (s.acl[i] != ALWAYS) n.vr[i] = FAULT;
        add("HEALTH FAILS", i, ENV);
      }
      if (!nf && s.vr[i] == BACKUP && hears(s, i) && s.acl[i] != NEVER && !s.hf[i]) {
        n = b;
        claim(n, i);
        add("FALSE CLAIM", i, ENV);
      }
      if (!ny && s.vr[i] == MASTER && con(s, i) && accepted(s, i) && !s.ls[i] && s.acl[i] == NORMAL) {
        n = b;
        n.vr[i] = BACKUP;
        n.rz[i] = !s.bl[i];
        add("YIELDS (an order)", i, ENV);
      }
      if (s.rz[i]) {
        n = b;
        n.rz[i] = 0;
        add("PRIORITY 0 LOST", i, ENV);
      }
      static const bool ax = has("alost");
      if (ax && s.fl[i]) {
        n = b;
        n.fl[i] = 0;
        add("AGENT'S CALL IS LOST", i, ENV);
        if (!s.al[i]) {
          n = b;
          n.fl[i] = 0;
          n.al[i] = 1;
          add("AGENT'S CALL TIMES OUT", i, ENV);
        }
      }
      if (im && s.vr[i] && !s.imp[i]) {
        n = b;
        n.imp[i] = 1;
        add("CALLED IMPAIRED BY EC2", i, ENV);
      }
      (void)j;
    }
    if (!ns && s.srv) {
      n = b;
      n.srv = 0;
      for (int i = 0; i < 2; i++)
        if (s.vr[i] == MASTER && !accepted(s, i)) n.inc[i] = 1;
      add("API SERVER DOWN", 9, ENV | MUTE);
    }
    {
      static const bool oc = has("oprefused");
      if (oc && !s.oc) {
        n = b;
        n.oc = 1;
        add("EC2 REFUSES THE OPERATOR", 9, ENV);
      }
    }
    if (!no && s.op) {
      n = b;
      n.op = 0;
      if (s.of < 2) {
        if (s.gh == NONE) n.gh = s.of;
        n.of = NONE;
      }
      add("OP CRASHES", 9, ENV | MUTE);
    }
    static const bool rs1 = has("restore"), rs2 = has("restorelive"), M2 = has("start2");
    if ((rs1 || rs2) && !ALONE && s.srv && !s.dl) {
      n = b;
      u8 *p[7] = {&n.term[0], &n.term[1], &n.rt[0], &n.rt[1], &n.ct[0], &n.ct[1], &n.stt};
      for (auto q : p)
        if (*q) *q += 2;
      for (int i = 0; i < 2; i++) {
        n.rst[i] = i == M2 ? MASTER : BACKUP;
        n.rt[i] = 1;
        n.sp[i] = i == M2;
        n.scl[i] = NORMAL;
        n.spo[i] = 1;
      }
      n.stt = 1;
      n.pin = NONE;
      n.pz = 0;
      if (rs1) {
        n.op = 0;
        if (s.of < 2) {
          if (s.gh == NONE) n.gh = s.of;
          n.of = NONE;
        }
        add("API RESTORED FROM BACKUP", 9, ENV);
      }
      if (rs2 && s.op) {
        n.op = 1;
        add("API RESTORED FROM BACKUP, operator lives", 9, ENV);
      }
    }
    if (!ng && s.op && s.of < 2 && s.gh == NONE) {
      n = b;
      n.gh = s.of;
      n.of = NONE;
      n.view = UNKNOWN;
      add("OP'S CALL TIMES OUT ->", s.of, ENV);
    }
  }
}
static string str(W x) {
  S s = unpack(x);
  string o;
  char b[400];
  const char *V = "dBMF", *C = "NAv";
  for (int i = 0; i < 2; i++) {
    snprintf(b, 400, "n%d[%s%c t%d%s%s%s%s%s p%s rep:%c%d%s%s%s%s%s%s] ", i + 1, s.gone[i] ? "gone " : "", V[s.vr[i]], s.term[i],
             s.ls[i] ? " listening" : "", s.inc[i] ? " noterm" : "", s.hf[i] ? " UNHEALTHY" : "", s.api[i] ? "" : " APICUT", s.ec[i] ? "" : " EC2CUT",
             ALONE     ? (prio(s, i) == 2 ? "150"
                          : prio(s, i)    ? "110"
                                          : "100")
             : s.x4[i] ? (prio(s, i) ? "150" : "100 cautious")
             : s.ap[i] ? "200"
                       : "100",
             V[s.rst[i]], s.rt[i], s.r[i] ? " RIGHT" : "", s.took[i] ? " took" : "", s.fl[i] ? " calling" : "", s.apo[i] ? "" : " takeover:Never",
             s.acl[i] ? (s.acl[i] == 1 ? " claim:Always" : " claim:Never") : "", s.imp[i] ? " impaired?" : "");
    o += b;
  }
  (void)C;
  snprintf(b, 400, "API server %s op[%s c:%c%d,%c%d view%d call%d late%d term%d%s%s] EC2=%s 1>2:%d 2>1:%d%s%s%s", s.srv ? "up" : "DOWN",
           s.op ? "up" : "down", V[s.cst[0]], s.ct[0], V[s.cst[1]], s.ct[1],
           s.view == 3   ? -1
           : s.view == 2 ? 0
                         : s.view + 1,
           s.of == 2 ? 0 : s.of + 1, s.gh == 2 ? 0 : s.gh + 1, s.stt, s.fr ? " fresh" : "", s.ask ? " asked" : "",
           s.ho == 2 ? "nowhere"
           : s.ho    ? "n2"
                     : "n1",
           s.lk[0], s.lk[1], s.pin < 2 ? (s.pin ? " pin:n2" : " pin:n1") : "", s.pz ? " PAUSED" : "",
           s.dl == 2 ? " DELETED"
           : s.dl    ? " deleting"
                     : "");
  return o + b;
}
static inline u64 hh(W w) {
  u64 x = (u64)w ^ ((u64)(w >> 64) * 0x9e3779b97f4a7c15ull);
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 29;
  x *= 0xc4ceb9fe1a85ec53ull;
  x ^= x >> 32;
  return x;
}
static vector<W> st;
struct H {
  vector<u32> t;
  u64 m;
  H(u64 c) {
    t.assign(c, ~0u);
    m = c - 1;
  }
  void grow() {
    u64 c = (m + 1) * 2;
    vector<u32>().swap(t);
    t.assign(c, ~0u);
    m = c - 1;
    for (u32 i = 0; i < st.size(); i++) {
      u64 p = hh(st[i]) & m;
      while (t[p] != ~0u) p = (p + 1) & m;
      t[p] = i;
    }
  }
  bool put(W w) {
    u64 p = hh(w) & m;
    while (t[p] != ~0u) {
      if (st[t[p]] == w) return false;
      p = (p + 1) & m;
    }
    t[p] = st.size();
    st.push_back(w);
    if (st.size() * 10 > m * 7) grow();
    return true;
  }
  u32 find(W w) {
    u64 p = hh(w) & m;
    while (t[p] != ~0u) {
      if (st[t[p]] == w) return t[p];
      p = (p + 1) & m;
    }
    return ~0u;
  }
};
static const set<string> FLAGS{"start2",  "boot",     "nolink",  "noapi", "nosrv",     "nocrash", "nodisk",  "norestart",
                               "noterm",  "nohealth", "nofalse", "noec2", "noop",      "nolate",  "noyield", "nopin",
                               "nopause", "nodelete", "never",   "imp",   "oprefused", "alost",   "restore", "restorelive",
                               "slow",    "lazy",     "anytime", "fair",  "big",       "q",       "all",     "most",
                               "blip",    "poison"};
static int usage(const char *what) {
  fprintf(stderr,
          "takeover-model: %s\nusage: takeover-model FAULTS [USERS] [FLAG...]; FAULTS 1 to 7, USERS 0 to 3, flags: see the head of its source\n",
          what);
  return 2;
}
static int number(const char *text, int least, int most) {
  if (!isdigit(text[0]) || text[1]) return -1;
  int n = text[0] - '0';
  return n < least || n > most ? -1 : n;
}
int main(int c, char **v) {
  int FB = c > 1 ? number(v[1], 1, 7) : -1, US = 0, a0 = 2;
  if (FB < 0) return usage("FAULTS is missing, or no number from 1 to 7");
  if (c > 2 && isdigit(v[2][0])) {
    US = number(v[2], 0, 3);
    if (US < 0) return usage("USERS is no number from 0 to 3");
    a0 = 3;
  }
  for (int i = a0; i < c; i++) {
    if (!FLAGS.count(v[i])) return usage((string("no such flag: ") + v[i]).c_str());
    FL.insert(v[i]);
  }
  EAGER = !has("lazy");
  ANYTIME = has("anytime");
  has_never = has("never");
  SLOW = has("slow");
  u64 LIM = has("big") ? 200000000 : 90000000;
  S s;
  memset(&s, 0, sizeof s);
  int M = has("start2") ? 1 : 0;
  for (int i = 0; i < 2; i++) {
    s.vr[i] = BACKUP;
    s.api[i] = s.ec[i] = s.lk[i] = 1;
    s.rst[i] = s.cst[i] = BACKUP;
    s.term[i] = s.rt[i] = 1;
    s.spo[i] = s.apo[i] = 1;
    s.r[i] = 1;
  }
  s.vr[M] = s.rst[M] = s.cst[M] = MASTER;
  s.ct[M] = 1;
  s.stt = 1;
  s.sp[M] = s.ap[M] = 1;
  s.r[M] = !ARRIVAL;
  s.sv[M] = 1;
  s.im[M] = 1;
  s.ho = s.old = s.view = M;
  s.of = s.gh = s.pin = NONE;
  s.op = s.srv = 1;
  s.fb = FB;
  s.us = US;
  if (has("never"))
    for (int i = 0; i < 2; i++) s.spo[i] = s.apo[i] = 0;
  if (ALONE) {
    s.op = s.srv = 0;
    s.api[0] = s.api[1] = 1;
    for (int i = 0; i < 2; i++) {
      s.rst[i] = s.rt[i] = s.sp[i] = s.ap[i] = 0;
      s.term[i] = 1;
    }
    s.stt = 0;
    if (has("boot")) {
      s.sv[0] = 0;
      s.vr[0] = s.vr[1] = BACKUP;
      s.ho = s.old = NONE;
      s.im[0] = s.im[1] = 0;
      s.r[0] = s.r[1] = 1;
    }
  }
  canon(s);
  H h(1 << 22);
  vector<u32> par;
  h.put(pack(s));
  par.push_back(0);
  vector<T> o;
  u64 tr = 0;
  auto t0 = time(0);
  bool trunc = false;
  checking = true;
  for (u64 q = 0; q < st.size(); q++) {
    W w = st[q];
    succ(w, o);
    tr += o.size();
    for (auto &t : o)
      if (h.put(t.to)) par.push_back(q);
    if (st.size() > LIM) {
      trunc = true;
      break;
    }
  }
  checking = false;
  u64 N = st.size();
  printf("faults %d users %d", FB, US);
  for (auto &f : FL) printf(" %s", f.c_str());
  printf(": states %lu transitions %lu %lds%s%s\n", N, tr, (long)(time(0) - t0), trunc ? " TRUNCATED" : "", gapcap ? " (term gaps capped)" : "");
  fflush(stdout);
  auto nm = [&](int i) { return i == 0 ? "n1" : i == 1 ? "n2" : ""; };
  auto step = [&](W a, W b) -> T {
    succ(a, o);
    for (auto &t : o)
      if (t.to == b) return t;
    return {b, "?", 9, 0};
  };
  auto trace = [&](u32 q, const vector<W> &more = {}) {
    if (has("q")) return;
    vector<W> p;
    for (u32 x = q;; x = par[x]) {
      p.push_back(st[x]);
      if (x == 0) break;
    }
    reverse(p.begin(), p.end());
    for (W w : more) p.push_back(w);
    printf("      %s\n", str(p[0]).c_str());
    for (size_t k = 1; k < p.size(); k++) {
      T t = step(p[k - 1], p[k]);
      printf("  %2zu. %s%s %s\n", k, t.k & ENV ? "! " : "", t.a, nm(t.i));
      if (has("all") || k + 1 == p.size()) printf("      %s\n", str(p[k]).c_str());
    }
    fflush(stdout);
  };
  // X1L is the risk that remains, and no violation
  vector<string> broken;
  auto nameOf = [](const char *n) { return string(n, strcspn(n, ":")); };
  auto result = [&](const char *cut = nullptr) {
    string names;
    for (auto &b : broken) names += " " + b;
    if (!broken.empty()) printf("VIOLATED:%s\n", names.c_str());
    else if (cut) printf("UNDECIDED: %s\n", cut);
    else printf("OK: nothing is violated in %lu states\n", N);
    return broken.empty() && !cut ? 0 : 1;
  };
  for (Bad *b : {&W1, &P4, &P4b, &P5, &X1, &Q1, &P9, &V3, &X1L}) {
    printf("%-88s %lu\n", b->n, b->k);
    if (b->k) {
      if (b != &X1L) broken.push_back(nameOf(b->n));
      trace(h.find(b->at));
    }
  }
  if (trunc) return result("the search was cut short");
  // flag fair: strongly connected parts of the graph without faults; one counts only if no step that is possible in all of its states is never taken in it (weak fairness)
  if (has("fair")) {
    vector<u32> ix(N, 0), lo(N, 0);
    vector<u8> on(N, 0);
    vector<u32> sk;
    u32 cnt = 0;
    u64 parts = 0, fairparts = 0;
    struct Fr {
      u32 q;
      u32 k;
      vector<u32> e;
    };
    vector<Fr> stk;
    auto key = [&](const T &t) { return string(t.a) + nm(t.i); };
    auto open = [&](u32 q) {
      Fr f;
      f.q = q;
      f.k = 0;
      succ(st[q], o);
      for (auto &t : o)
        if (!(t.k & ENV)) f.e.push_back(h.find(t.to));
      ix[q] = lo[q] = ++cnt;
      on[q] = 1;
      sk.push_back(q);
      return f;
    };
    for (u64 r = 0; r < N; r++)
      if (!ix[r]) {
        stk.push_back(open(r));
        while (!stk.empty()) {
          Fr &f = stk.back();
          if (f.k < f.e.size()) {
            u32 y = f.e[f.k++];
            if (!ix[y]) stk.push_back(open(y));
            else if (on[y]) lo[f.q] = min(lo[f.q], ix[y]);
            continue;
          }
          u32 q = f.q;
          stk.pop_back();
          if (!stk.empty()) lo[stk.back().q] = min(lo[stk.back().q], lo[q]);
          if (lo[q] == ix[q]) {
            vector<u32> c;
            for (;;) {
              u32 y = sk.back();
              sk.pop_back();
              on[y] = 0;
              c.push_back(y);
              if (y == q) break;
            }
            if (c.size() > 1) {
              parts++;
              unordered_set<u32> in(c.begin(), c.end());
              set<string> always, taken;
              bool first = true;
              for (u32 y : c) {
                succ(st[y], o);
                set<string> en;
                for (auto &t : o)
                  if (!(t.k & ENV)) {
                    en.insert(key(t));
                    if (in.count(h.find(t.to))) taken.insert(key(t));
                  }
                if (first) {
                  always = en;
                  first = false;
                } else {
                  set<string> z;
                  for (auto &k : always)
                    if (en.count(k)) z.insert(k);
                  always = z;
                }
              }
              bool starved = false;
              for (auto &k : always)
                if (!taken.count(k)) starved = true;
              if (!starved) {
                if (fairparts++ < 3) {
                  printf("  a circle of %zu states; steps in it:", c.size());
                  for (auto &k : taken) printf(" [%s]", k.c_str());
                  printf("\n");
                  u32 m = c[0];
                  for (u32 y : c) m = min(m, y);
                  trace(m);
                }
              }
            }
          }
        }
      }
    printf("FAIR: parts with a circle %lu, of them fair %lu\n", parts, fairparts);
    if (fairparts) broken.push_back("P3");
    return result();
  }
  // one depth-first walk of the graph without faults: cycles, quiet states, the most EC2 calls that can follow
  vector<u8> col(N, 0), mx(N, 0), ma(N, 0), quiet(N, 0);
  u64 cyc = 0;
  vector<W> cycle;
  u32 cyc0 = 0;
  {
    struct Fr {
      u32 q;
      u32 k;
      vector<pair<u32, u8>> e;
    };
    vector<Fr> stk;
    auto open = [&](u32 q) {
      Fr f;
      f.q = q;
      f.k = 0;
      succ(st[q], o);
      for (auto &t : o)
        if (!(t.k & ENV)) f.e.push_back({h.find(t.to), t.k});
      col[q] = 1;
      quiet[q] = f.e.empty();
      return f;
    };
    for (u64 r = 0; r < N; r++)
      if (!col[r]) {
        stk.push_back(open(r));
        while (!stk.empty()) {
          Fr &f = stk.back();
          if (f.k < f.e.size()) {
            u32 y = f.e[f.k].first;
            if (!col[y]) {
              stk.push_back(open(y));
              continue;
            }
            if (col[y] == 1) {
              if (!cyc++) {
                cyc0 = y;
                bool in = false;
                for (auto &g : stk) {
                  if (g.q == y) in = true;
                  if (in && g.q != y) cycle.push_back(st[g.q]);
                }
                cycle.push_back(st[y]);
              }
            } else {
              u8 k = f.e[f.k].second;
              mx[f.q] = max<int>(mx[f.q], min(200, mx[y] + ((k & (CALLOP | CALLAG)) ? 1 : 0)));
              ma[f.q] = max<int>(ma[f.q], min(200, ma[y] + ((k & CALLAG) ? 1 : 0)));
            }
            f.k++;
          } else {
            col[f.q] = 2;
            stk.pop_back();
          }
        }
      }
  }
  struct C {
    const char *n;
    u64 k = 0;
    u32 f = ~0u;
  };
  C p8{"P8: all is well, and a restart of operator or Backup, a cut or return of the API, or a blip brings an EC2 call"};
  C p1{"P1: quiet, links and EC2 paths whole, EC2 does not deliver to the one live Master"},
      v1{"V1: quiet, links whole, not exactly one Master although a healthy node lives"},
      p2{"P2: quiet, all healed, holder, elected master, priorities differ"},
      dh{"DH: quiet, EC2 delivers to a dead machine or nowhere although a Master that may and can take over lives"},
      p6{"P6: a healed link alone moves the addresses away from a healthy Master (nobody has the API)"},
      ps{"PS: quiet, all healed, a live node is pinned, EC2 does not deliver to it"};
  auto H1 = [&](C &c, u64 q) {
    if (!c.k++) c.f = q;
  };
  u32 mxq = 0, maq = 0;
  int q1 = 0, q1a = 0;
  u64 q1s = 0, q1as = 0;
  u32 q1y = 0, q1ay = 0;
  for (u64 q = 0; q < N; q++) {
    if (mx[q] > mx[mxq]) mxq = q;
    if (ma[q] > ma[maq]) maq = q;
    if (!quiet[q]) continue;
    {
      succ(st[q], o);
      auto oo = o;
      for (auto &t : oo)
        if (t.k & ENV) {
          u32 y = h.find(t.to);
          if (mx[y] > q1) {
            q1 = mx[y];
            q1y = y;
            q1s = q;
          }
          if (ma[y] > q1a) {
            q1a = ma[y];
            q1ay = y;
            q1as = q;
          }
        }
    }
    S s = unpack(st[q]);
    // Without permission only the operator moves anything: what needs it is asked once it is back.
    bool permitted = has_never || ((!s.vr[0] || s.apo[0]) && (!s.vr[1] || s.apo[1]) && s.spo[0] && s.spo[1]);
    bool lk = s.lk[0] && s.lk[1], ec = s.ec[0] && s.ec[1],
         free_ = s.pin == NONE && !s.pz && !s.dl && permitted && s.acl[0] == NORMAL && s.acl[1] == NORMAL;
    bool healed = lk && ec && !s.oc && (ALONE || (s.op && s.srv && s.api[0] && s.api[1]));
    int mm = 0, w = NONE, el = 0;
    for (int i = 0; i < 2; i++) {
      if (s.vr[i] == MASTER) {
        mm++;
        w = i;
      }
      if (s.vr[i] == MASTER || s.vr[i] == BACKUP) el++;
    }
    if (!free_) {
      if (s.pin < 2 && !s.pz && !s.dl && s.op && s.srv && s.api[0] && s.api[1] && lk && s.ho != s.pin && !s.oc && s.vr[s.pin]) H1(ps, q);
      continue;
    }
    if (lk && el && mm != 1) H1(v1, q);
    if (lk && ec && mm == 1 && s.ho != w && (!has_never || healed)) H1(p1, q);
    if (lk && ec && mm == 1 && s.ho == w) {
      succ(st[q], o);
      auto oo = o;
      for (auto &t : oo)
        if (t.k & MUTE && !(t.i == w && !strcmp(t.a, "AGENT RESTARTS"))) {
          u32 y = h.find(t.to);
          if (mx[y]) H1(p8, y);
        }
    }
    if (healed && !ALONE && mm == 1) {
      int e = om(s);
      if (e != w || s.ho != w || s.sp[w] != 1 || s.sp[1 - w]) H1(p2, q);
    }
    for (int i = 0; i < 2 && (!has_never || healed); i++)
      if (s.vr[i] == MASTER && s.ec[i] && ((s.ho == 1 - i && !s.vr[1 - i]) || (s.ho == NONE && (ALONE || s.gone[1 - i])))) H1(dh, q);
    if (mm == 2 && !lk && ec && s.ho < 2 && !con(s, 0) && !con(s, 1)) {
      succ(st[q], o);
      auto oo = o;
      for (auto &t : oo)
        if (t.k & HEAL) {
          u32 y = h.find(t.to);
          S z = unpack(t.to);
          if (z.lk[0] && z.lk[1] && mx[y]) { H1(p6, y); }
        }
    }
  }
  for (C *k : {&v1, &p1, &p2, &dh, &p6, &p8, &ps}) {
    printf("%-88s %lu\n", k->n, k->k);
    if (k->k) {
      broken.push_back(nameOf(k->n));
      trace(k->f);
    }
  }
  printf("P3: cycles without faults %lu; most EC2 calls between two changes of the world: %d (by agents %d); after one change of a quiet world: %d "
         "(by agents %d)\n",
         cyc, mx[mxq], ma[maq], q1, q1a);
  if (cyc || q1a > (has("imp") ? 3 : 2)) broken.push_back("P3");
  if (cyc) {
    printf("  a cycle (the flag fair tells whether it leaves out a step that is always possible):\n");
    trace(cyc0, cycle);
  }
  auto most = [&](const char *what, u32 y, vector<u8> &v, int mask) {
    printf("  %s:\n", what);
    vector<W> p;
    u32 q = y;
    while (v[q]) {
      succ(st[q], o);
      auto oo = o;
      bool f = false;
      for (auto &t : oo)
        if (!(t.k & ENV)) {
          u32 z = h.find(t.to);
          if (v[z] + ((t.k & mask) ? 1 : 0) == v[q]) {
            p.push_back(t.to);
            q = z;
            f = true;
            break;
          }
        }
      if (!f) break;
    }
    trace(y, p);
  };
  if (!cyc && has("most")) {
    most("most calls between two changes", mxq, mx, CALLOP | CALLAG);
    most("most calls after one change of a quiet world", q1y, mx, CALLOP | CALLAG);
    printf("      (from %s)\n", str(st[q1s]).c_str());
    most("most calls by agents after one change of a quiet world", q1ay, ma, CALLAG);
    printf("      (from %s)\n", str(st[q1as]).c_str());
  }
  return result();
}
