/* A new connection arrives in a captured netns: the plaintext listener gets it, the application, or
 * nobody. Loaded once for each pod, because the hook cannot ask for its netns: hd_pod_netns_cookie
 * says whose program this is, from before it is attached. It is no constant: a program is loaded before
 * it is known for which pod. Default for what is not TCP: pass. For TCP that it cannot place (no
 * record, no memory): drop; the client is refused. */
#include "hooks.h"

volatile __u64 hd_pod_netns_cookie = 0;

static __always_inline void read_flow(struct bpf_sk_lookup *ctx, struct hd_flow *flow)
{
    if (ctx->family == AF_INET) {
        hd_ip_from_v4(flow->src_ip, ctx->remote_ip4);
        hd_ip_from_v4(flow->dst_ip, ctx->local_ip4);
    } else {
        hd_ip_from_ctx(flow->src_ip, ctx->remote_ip6);
        hd_ip_from_ctx(flow->dst_ip, ctx->local_ip6);
    }
    flow->src_port = bpf_ntohs(ctx->remote_port);
    flow->dst_port = ctx->local_port;
}

/* The verifier looks at this program for each pod that starts. Its facts are found in functions that
 * it looks at once each (global ones, with BTF), and not for each combination of what others found:
 * 2.3 ms became 0.6. */

__noinline int hd_flow_is_from_self(const struct hd_flow *flow)
{
    if (!flow)
        return 0;
    /* Not by interface: a connection to the pod's own address arrives "on" the interface that owns
     * the address. */
    return hd_ip_is_loopback(flow->src_ip) || hd_ip_equal(flow->src_ip, flow->dst_ip);
}

/* A redirected socket that is bound to another address of its pod comes from there, not from
 * itself. */
__noinline int hd_flow_is_redirected(const struct hd_flow *flow)
{
    return flow && flow->dst_port == HD_PORT_OUTBOUND &&
           bpf_map_lookup_elem(&hd_origdst, flow) != 0;
}

__noinline int hd_flow_bypasses(const struct hd_flow *flow)
{
    return flow && bpf_map_lookup_elem(&hd_bypass, flow) != 0;
}

__noinline int hd_inbound_is_excluded(const struct hd_flow *flow, __u32 exclusion_set)
{
    return flow && (hd_port_is_excluded(exclusion_set, HD_INBOUND, flow->dst_port) ||
                    hd_ip_is_excluded(exclusion_set, HD_INBOUND, flow->src_ip));
}

__noinline int hd_agent_is_there(void)
{
    return hd_heartbeat_is_fresh();
}

/* The action, and in the next byte the reason. */
__noinline int hd_judge_inbound(const struct hd_inbound_facts *facts)
{
    struct hd_inbound_decision decision;

    if (!facts)
        return HD_INBOUND_DROP | HD_STAT_INBOUND_NO_POD << 8;
    decision = hd_decide_inbound(facts);
    return (int)(decision.action | decision.reason << 8);
}

__noinline int hd_count_inbound(const struct hd_flow *flow, int action, int reason)
{
    struct hd_pod_stats *stats;

    if (!flow)
        return 0;
    hd_count(reason);
    if (reason == HD_STAT_INBOUND_LOCAL || reason == HD_STAT_INBOUND_HBONE)
        return 0;
    if (action == HD_INBOUND_DROP)
        hd_report(HD_EVENT_INBOUND_REFUSED, reason, flow, 0);
    stats = bpf_map_lookup_elem(&hd_pod_stats, &flow->netns_cookie);
    if (!stats)
        return 0;
    if (action == HD_INBOUND_DROP)
        stats->inbound_refused++;
    else if (action == HD_INBOUND_SELECT)
        stats->inbound_selected++;
    else
        stats->inbound_passed++;
    return 0;
}

static __always_inline void ask_pod(const struct hd_flow *flow, struct hd_inbound_facts *facts)
{
    struct hd_pod *pod = bpf_map_lookup_elem(&hd_pods, &flow->netns_cookie);

    if (!pod)
        return;
    facts->has_pod = 1;
    facts->state = pod->state;
    facts->fail_mode = pod->fail_mode;
    facts->refuse_plaintext = pod->refuse_plaintext;
    facts->bypass = hd_flow_bypasses(flow);
    facts->excluded = hd_inbound_is_excluded(flow, pod->exclusion_set);
    facts->agent_alive = hd_agent_is_there();
}

SEC("sk_lookup")
int hd_sk_lookup(struct bpf_sk_lookup *ctx)
{
    struct hd_inbound_facts facts = {};
    struct hd_listen_key key = {};
    struct hd_flow flow = {};
    struct bpf_sock *listener = 0;
    int action, reason, judged;

    if (ctx->protocol != IPPROTO_TCP)
        return SK_PASS;
    flow.netns_cookie = hd_pod_netns_cookie;
    read_flow(ctx, &flow);
    facts.local_port = flow.dst_port;
    facts.from_self = hd_flow_is_from_self(&flow);
    facts.redirected = !facts.from_self && hd_flow_is_redirected(&flow);
    /* What the node's tunnels and redirected connections need not wait for. */
    if (hd_inbound_asks_pod(&facts)) {
        key.netns_cookie = hd_pod_netns_cookie;
        key.role = HD_LISTENER_INBOUND_PLAINTEXT;
        listener = bpf_map_lookup_elem(&hd_listen, &key);
        facts.listener = listener != 0;
        ask_pod(&flow, &facts);
    }
    judged = hd_judge_inbound(&facts);
    action = judged & 0xff;
    reason = judged >> 8;
    /* REPLACE: a foreign program's choice must not carry the connection past the mesh. */
    if (action == HD_INBOUND_SELECT && listener &&
        bpf_sk_assign(ctx, listener, BPF_SK_LOOKUP_F_REPLACE) != 0) {
        action = HD_INBOUND_DROP;
        reason = HD_STAT_INBOUND_NO_LISTENER;
    }
    if (listener)
        bpf_sk_release(listener);
    /* Without an interface it is no packet: the agent looks by sock_diag(7) whether a pair is in use. */
    if (ctx->ingress_ifindex != 0)
        hd_count_inbound(&flow, action, reason);
    return action == HD_INBOUND_DROP ? SK_DROP : SK_PASS;
}
