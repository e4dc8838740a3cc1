/* TCP events: writes what must be known about a connection before its SYN leaves, and deletes it
 * when the socket ends. Default: nothing; the return value decides nothing here. What cannot be
 * recorded is counted, and the connection fails later: without an original destination the proxy
 * resets it, without a bypass entry the guard drops the SYN. */
#include "hooks.h"

static __always_inline void local_end(struct bpf_sock_ops *ctx, __u8 *ip, __u16 *port)
{
    if (ctx->family == AF_INET)
        hd_ip_from_v4(ip, ctx->local_ip4);
    else
        hd_ip_from_ctx(ip, ctx->local_ip6);
    *port = ctx->local_port;
}

static __always_inline void remote_end(struct bpf_sock_ops *ctx, __u8 *ip, __u16 *port)
{
    if (ctx->family == AF_INET)
        hd_ip_from_v4(ip, ctx->remote_ip4);
    else
        hd_ip_from_ctx(ip, ctx->remote_ip6);
    *port = bpf_ntohl(ctx->remote_port); /* The context holds it in network order in four bytes. */
}

static __always_inline void watch_end(struct bpf_sock_ops *ctx)
{
    bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* The verdict becomes REFUSED, so the guard holds the SYN back even on loopback. */
static __always_inline void hold_back(struct hd_sk *storage, enum hd_stat reason)
{
    storage->verdict = HD_VERDICT_REFUSED;
    hd_count(reason);
    hd_report(HD_EVENT_MAP_FULL, reason, &storage->flow, storage->owner_cookie);
}

static __always_inline void record_origdst(struct bpf_sock_ops *ctx, struct hd_sk *storage)
{
    struct hd_origdst origdst = {
        .owner_cookie = storage->owner_cookie,
        .created_ns = bpf_ktime_get_ns(),
        .dst_port = storage->dst_port,
        .state = HD_ORIGDST_CONNECTING,
    };
    long err;

    __builtin_memcpy(origdst.dst_ip, storage->dst_ip, 16);
    err = bpf_map_update_elem(&hd_origdst, &storage->flow, &origdst, BPF_NOEXIST);
    if (err == -EEXIST) {
        struct hd_origdst *older = bpf_map_lookup_elem(&hd_origdst, &storage->flow);

        /* The tuple's last connection still waits to be accepted. The proxy must not mistake one
         * for the other. */
        if (older && older->state == HD_ORIGDST_ARRIVED) {
            hold_back(storage, HD_STAT_ORIGDST_BUSY);
            return;
        }
        err = bpf_map_update_elem(&hd_origdst, &storage->flow, &origdst, BPF_ANY);
    }
    if (err) {
        hd_count(HD_STAT_ORIGDST_FULL);
        hd_report(HD_EVENT_MAP_FULL, HD_STAT_ORIGDST_FULL, &storage->flow, storage->owner_cookie);
        return;
    }
    storage->entry = HD_ENTRY_ORIGDST;
    watch_end(ctx);
}

static __always_inline void record_bypass(struct bpf_sock_ops *ctx, struct hd_sk *storage,
                                          enum hd_bypass_reason reason)
{
    struct hd_bypass bypass = {.owner_cookie = storage->owner_cookie, .reason = reason};

    if (bpf_map_update_elem(&hd_bypass, &storage->flow, &bypass, BPF_ANY)) {
        if (reason == HD_BYPASS_PROXY) {
            hold_back(storage, HD_STAT_BYPASS_FULL);
        } else {
            hd_count(HD_STAT_BYPASS_FULL);
            hd_report(HD_EVENT_MAP_FULL, HD_STAT_BYPASS_FULL, &storage->flow,
                      storage->owner_cookie);
        }
        return;
    }
    storage->entry = HD_ENTRY_BYPASS;
    watch_end(ctx);
}

/* The local port is chosen and the SYN not yet sent. */
static __always_inline void connecting(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
    struct hd_sk *storage = bpf_sk_storage_get(&hd_sk, sk, 0, 0);
    struct hd_pod_ref *ref;

    if (!storage)
        return;
    hd_drop_entry(storage);
    storage->owner_cookie = bpf_get_socket_cookie(ctx);
    local_end(ctx, storage->flow.src_ip, &storage->flow.src_port);
    remote_end(ctx, storage->flow.dst_ip, &storage->flow.dst_port);
    switch (storage->verdict) {
    case HD_VERDICT_REDIRECT:
        storage->flow.netns_cookie = storage->netns_cookie;
        record_origdst(ctx, storage);
        break;
    case HD_VERDICT_PROXY: /* To its own pod's application; elsewhere it is a client like any other.
                            */
        storage->flow.netns_cookie = storage->netns_cookie;
        ref = bpf_map_lookup_elem(&hd_pod_ip, storage->flow.dst_ip);
        if (ref && ref->netns_cookie == storage->netns_cookie)
            record_bypass(ctx, storage, HD_BYPASS_PROXY);
        break;
    case HD_VERDICT_PROBE: /* flow.netns_cookie is the pod's, set by the connect hook. */
        record_bypass(ctx, storage, HD_BYPASS_PROBE);
        break;
    default:
        break;
    }
}

/* The key of the entry of a redirected connection, at its accepting end; 0 when this is none. */
static __always_inline int accepting_flow(struct bpf_sock_ops *ctx, struct hd_flow *flow)
{
    local_end(ctx, flow->dst_ip, &flow->dst_port);
    if (flow->dst_port != HD_PORT_OUTBOUND)
        return 0;
    flow->netns_cookie = bpf_get_netns_cookie(ctx);
    remote_end(ctx, flow->src_ip, &flow->src_port);
    return 1;
}

/* A redirected connection is in the accept queue: from here on its entry lives and dies with this
 * socket. The proxy cannot have accepted it yet, since accept() waits for the socket's lock, which
 * is held here. */
static __always_inline void arrived(struct bpf_sock_ops *ctx)
{
    struct hd_flow flow = {};
    struct hd_origdst *origdst;

    if (!accepting_flow(ctx, &flow))
        return;
    origdst = bpf_map_lookup_elem(&hd_origdst, &flow);
    if (!origdst)
        return;
    origdst->state = HD_ORIGDST_ARRIVED;
    watch_end(ctx);
}

/* The states in which an accepting end may wait for accept(). */
static __always_inline int may_wait_for_accept(__u32 state)
{
    return state == BPF_TCP_ESTABLISHED || state == BPF_TCP_SYN_RECV || state == BPF_TCP_CLOSE_WAIT;
}

/* The accepting end of a redirected connection begins to end: the entry is there if nobody has
 * taken it. Whose it is no storage says, which would have to be made for each connection, but the
 * state it leaves: in those the kernel's table has this socket for the tuple, and no later
 * connection can have arrived. In those that follow a TIME_WAIT may have taken its place. */
static __always_inline void drop_arrived(struct bpf_sock_ops *ctx)
{
    struct hd_flow flow = {};
    struct hd_origdst *origdst;

    if (!may_wait_for_accept(ctx->args[0]) || may_wait_for_accept(ctx->args[1]) ||
        !accepting_flow(ctx, &flow))
        return;
    origdst = bpf_map_lookup_elem(&hd_origdst, &flow);
    if (origdst && origdst->state == HD_ORIGDST_ARRIVED)
        bpf_map_delete_elem(&hd_origdst, &flow);
}

static __always_inline void drop_own(struct bpf_sock *sk)
{
    struct hd_sk *storage = bpf_sk_storage_get(&hd_sk, sk, 0, 0);

    if (storage)
        hd_drop_entry(storage);
}

SEC("sockops")
int hd_sockops(struct bpf_sock_ops *ctx)
{
    struct bpf_sock *sk = ctx->sk;

    if (!sk)
        return 1;
    switch (ctx->op) {
    case BPF_SOCK_OPS_TCP_CONNECT_CB:
        connecting(ctx, sk);
        break;
    case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
        arrived(ctx);
        break;
    case BPF_SOCK_OPS_STATE_CB:
        drop_arrived(ctx);
        if (ctx->args[1] == BPF_TCP_CLOSE)
            drop_own(sk);
        break;
    default:
        break;
    }
    return 1;
}
