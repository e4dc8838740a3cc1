/* What the hooks count and report; the last part of hd_abi.h, which includes it. */
#pragma once

#include <linux/types.h>

/* hd_stats: index of each counter. Names are for dashboards: append only. */
enum hd_stat {
    HD_STAT_CONNECT_REDIRECTED = 0,
    HD_STAT_CONNECT_LOCAL,
    HD_STAT_CONNECT_EXCLUDED,
    HD_STAT_CONNECT_PROXY,
    HD_STAT_CONNECT_PROBE,
    HD_STAT_CONNECT_OPEN, /* Passed by fail mode Open. */
    HD_STAT_CONNECT_RELEASED,
    HD_STAT_CONNECT_AGENT_STALE, /* Refused: heartbeat too old. */
    HD_STAT_CONNECT_NO_LISTENER, /* Refused: no outbound listener. */
    HD_STAT_CONNECT_NO_ADDRESS,  /* Refused: the pod has no address of that family. */
    HD_STAT_CONNECT_NO_STORAGE,  /* Refused: no memory for the socket's storage. */
    HD_STAT_ORIGDST_FULL,        /* Map full: the proxy resets the connection. */
    HD_STAT_ORIGDST_BUSY, /* The tuple's last connection is not accepted yet: SYN held back. */
    HD_STAT_BYPASS_FULL,  /* Map full: the proxy's SYN is held back, a probe is treated as a client.
                           */
    HD_STAT_BIND_REFUSED,
    HD_STAT_INBOUND_SELECTED, /* Given to the plaintext listener. */
    HD_STAT_INBOUND_LOCAL,
    HD_STAT_INBOUND_HBONE,
    HD_STAT_INBOUND_BYPASS,
    HD_STAT_INBOUND_EXCLUDED,
    HD_STAT_INBOUND_OPEN,
    HD_STAT_INBOUND_RELEASED,
    HD_STAT_INBOUND_MESH_PORT, /* Refused: from outside to one of our ports. */
    HD_STAT_INBOUND_REFUSED,   /* Refused: plaintext is denied for every source. */
    HD_STAT_INBOUND_AGENT_STALE,
    HD_STAT_INBOUND_NO_LISTENER,
    HD_STAT_INBOUND_NO_POD, /* Refused: attached without a pod record. */
    HD_STAT_LEAK_DROPPED,   /* SYN without a connect verdict, dropped by the guard. */
    HD_STAT_LEAK_MALFORMED, /* TCP of a raw socket that the guard cannot read, dropped. */
    HD_STAT_SYN_HELD, /* SYN of a refused socket, or of a redirected one off its path, dropped. */
    HD_STAT_SOCKET_REFUSED, /* No memory for the storage of a new socket in a captured netns. */
    HD_STAT_EVENTS_LOST,    /* The buffer was full. */
    HD_STAT_EVENTS_LIMITED, /* Its pod had too many of them in one second, or has no record. */
    HD_STAT_COUNT,
};

/* Events that one pod may cause each second on each CPU: enough to see what goes wrong with it, and
 * so few that hd_events, which holds some 3 200, is not filled by it before the agent's next turn,
 * however fast its processes try, on up to 32 CPUs. */
#define HD_EVENTS_PER_POD_SECOND 100u

/* hd_pod_stats: the same facts by pod, in the order of importance to a person. */
struct hd_pod_stats {
    __u64 redirected;
    __u64 passed; /* Local, excluded, released or Open, outbound. */
    __u64 refused;
    __u64 inbound_selected;
    __u64 inbound_passed;
    __u64 inbound_refused;
    __u64 leaks_dropped;
    __u64 events_since_ns; /* When the second began in which `events` were reported. */
    __u64 events;
};
ABI_ASSERT(sizeof(struct hd_pod_stats) == 72);

enum hd_event_type {
    HD_EVENT_CONNECT_REFUSED = 1,
    HD_EVENT_INBOUND_REFUSED = 2,
    HD_EVENT_BIND_REFUSED = 3,
    HD_EVENT_LEAK = 4,
    HD_EVENT_MAP_FULL = 5,
};

/* hd_events: only what an operator may ask about; the ordinary is counted. */
struct hd_event {
    __u64 ts_ns;
    __u64 netns_cookie;
    __u64 socket_cookie; /* 0: not known in that hook. */
    enum hd_event_type type;
    enum hd_stat reason;
    __u8 src_ip[16]; /* All zero: not known yet. */
    __u8 dst_ip[16];
    __u16 src_port;
    __u16 dst_port;
    __u32 zero;
};
ABI_ASSERT(sizeof(struct hd_event) == 72);
