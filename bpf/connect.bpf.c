/* connect(): redirects TCP of captured pods to their outbound listener and recognises the node's
 * probes. Default for what it does not understand (other protocols, other netns): pass, because it
 * is not the mesh's. Within a captured pod the default is to refuse: whatever is missing costs the
 * connection, not its protection. */
#include "hooks.h"

struct target {
    __u8 ip[16];
    __u16 port;
};

static __always_inline int is_local(__u64 netns_cookie, const __u8 *ip)
{
    struct hd_pod_ref *ref;

    if (hd_ip_is_loopback(ip))
        return 1;
    ref = bpf_map_lookup_elem(&hd_pod_ip, ip);
    return ref && ref->netns_cookie == netns_cookie;
}

static __always_inline int is_excluded(const struct hd_pod *pod, const struct target *target)
{
    return hd_port_is_excluded(pod->exclusion_set, HD_OUTBOUND, target->port) ||
           hd_ip_is_excluded(pod->exclusion_set, HD_OUTBOUND, target->ip);
}

static __always_inline int has_outbound_listener(__u64 netns_cookie)
{
    struct hd_listen_key key = {.netns_cookie = netns_cookie, .role = HD_LISTENER_OUTBOUND};
    struct bpf_sock *listener = bpf_map_lookup_elem(&hd_listen, &key);

    if (!listener)
        return 0;
    bpf_sk_release(listener);
    return 1;
}

static __always_inline void count_connect(const struct hd_sk *storage, const struct target *target,
                                          enum hd_stat reason, __u64 socket_cookie)
{
    struct hd_pod_stats *stats = bpf_map_lookup_elem(&hd_pod_stats, &storage->netns_cookie);

    hd_count(reason);
    if (storage->verdict == HD_VERDICT_REFUSED) {
        struct hd_flow flow = {.netns_cookie = storage->netns_cookie, .dst_port = target->port};

        __builtin_memcpy(flow.dst_ip, target->ip, 16);
        hd_report(HD_EVENT_CONNECT_REFUSED, reason, &flow, socket_cookie);
    }
    if (!stats || storage->verdict == HD_VERDICT_PROXY)
        return;
    if (storage->verdict == HD_VERDICT_REDIRECT)
        stats->redirected++;
    else if (storage->verdict == HD_VERDICT_REFUSED)
        stats->refused++;
    else
        stats->passed++;
}

/* Returns where to send the socket instead, or null: storage->verdict says whether it may go on. */
static __always_inline const __u8 *decide(struct bpf_sock_addr *ctx, const struct target *target,
                                          const struct hd_pod *pod, struct hd_sk *storage)
{
    const __u8 *address = hd_ip_is_v4(target->ip) ? pod->ip4 : pod->ip6;
    struct hd_connect_facts facts = {.state = pod->state, .fail_mode = pod->fail_mode};
    struct hd_decision decision;

    facts.proxy = storage->proxy || hd_caller_is_proxy();
    facts.local = is_local(storage->netns_cookie, target->ip);
    if (!facts.proxy && !facts.local) {
        facts.excluded = is_excluded(pod, target);
        facts.agent_alive = hd_heartbeat_is_fresh();
        facts.listener = has_outbound_listener(storage->netns_cookie);
        facts.has_address = !hd_ip_is_zero(address);
    }
    decision = hd_decide_connect(&facts);
    storage->verdict = decision.verdict;
    storage->dst_port = target->port;
    __builtin_memcpy(storage->dst_ip, target->ip, 16);
    count_connect(storage, target, decision.reason, bpf_get_socket_cookie(ctx));
    return decision.verdict == HD_VERDICT_REDIRECT ? address : 0;
}

/* A socket outside captured netns: the verdict lets hd_sockops write the tuple that the pod's
 * sk_lookup lets pass. */
static __always_inline void mark_probe(struct bpf_sock_addr *ctx, __u64 netns_cookie,
                                       const struct target *target)
{
    __u32 zero = 0;
    struct hd_cfg *cfg = bpf_map_lookup_elem(&hd_cfg, &zero);
    struct hd_pod_ref *ref;
    struct hd_sk *storage;

    if (!cfg || cfg->host_netns_cookie != netns_cookie)
        return;
    storage = bpf_sk_storage_get(&hd_sk, ctx->sk, 0, 0);
    if (storage) /* An earlier connect of the same socket decides nothing any more. */
        storage->verdict = HD_VERDICT_NONE;
    ref = bpf_map_lookup_elem(&hd_pod_ip, target->ip);
    if (!ref || !hd_is_probe(cfg->probe_mode, cfg->probe_cgroup_id,
                             bpf_get_current_ancestor_cgroup_id(cfg->probe_cgroup_level)))
        return;
    storage = bpf_sk_storage_get(&hd_sk, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!storage) {
        hd_count(HD_STAT_CONNECT_NO_STORAGE); /* The pod treats it as any client: policy decides. */
        return;
    }
    storage->verdict = HD_VERDICT_PROBE;
    storage->flow.netns_cookie = ref->netns_cookie;
    hd_count(HD_STAT_CONNECT_PROBE);
}

/* Returns the new address, or null with *allow set. */
static __always_inline const __u8 *handle(struct bpf_sock_addr *ctx, const struct target *target,
                                          int *allow)
{
    __u64 netns_cookie = bpf_get_netns_cookie(ctx);
    struct hd_pod *pod = bpf_map_lookup_elem(&hd_pods, &netns_cookie);
    const __u8 *address;
    struct hd_sk *storage;

    *allow = HD_ALLOW;
    if (!pod) {
        mark_probe(ctx, netns_cookie, target);
        return 0;
    }
    storage = bpf_sk_storage_get(&hd_sk, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!storage) {
        hd_count(HD_STAT_CONNECT_NO_STORAGE);
        *allow = HD_DENY;
        return 0;
    }
    storage->netns_cookie =
        netns_cookie; /* New for sockets that the kernel made itself, as MPTCP does. */
    address = decide(ctx, target, pod, storage);
    if (storage->verdict == HD_VERDICT_REFUSED)
        *allow = HD_DENY;
    return address;
}

static __always_inline int is_tcp(const struct bpf_sock_addr *ctx)
{
    return ctx->type == SOCK_STREAM &&
           (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_MPTCP);
}

static __always_inline int finish(int allow)
{
    if (allow == HD_DENY)
        bpf_set_retval(-ECONNREFUSED);
    return allow;
}

SEC("cgroup/connect4")
int hd_connect4(struct bpf_sock_addr *ctx)
{
    struct target target = {.port = bpf_ntohs(ctx->user_port)};
    const __u8 *address;
    int allow;

    if (!is_tcp(ctx))
        return HD_ALLOW;
    hd_ip_from_v4(target.ip, ctx->user_ip4);
    address = handle(ctx, &target, &allow);
    if (address) {
        ctx->user_ip4 = hd_ip_word(address, 3);
        ctx->user_port = bpf_htons(HD_PORT_OUTBOUND);
    }
    return finish(allow);
}

SEC("cgroup/connect6")
int hd_connect6(struct bpf_sock_addr *ctx)
{
    struct target target = {.port = bpf_ntohs(ctx->user_port)};
    const __u8 *address;
    int allow;

    if (!is_tcp(ctx))
        return HD_ALLOW;
    hd_ip_from_ctx(target.ip, ctx->user_ip6);
    address = handle(ctx, &target, &allow);
    if (address) { /* A mapped destination gets a mapped address: the socket stays an IPv4 one. */
        ctx->user_ip6[0] = hd_ip_word(address, 0);
        ctx->user_ip6[1] = hd_ip_word(address, 1);
        ctx->user_ip6[2] = hd_ip_word(address, 2);
        ctx->user_ip6[3] = hd_ip_word(address, 3);
        ctx->user_port = bpf_htons(HD_PORT_OUTBOUND);
    }
    return finish(allow);
}
