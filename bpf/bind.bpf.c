/* bind(): keeps the mesh's ports in captured netns for the agent, also while no agent runs.
 * Default for everything else: pass; a port that is not ours is the application's business. */
#include "hooks.h"

static __always_inline int guard(struct bpf_sock_addr *ctx)
{
    __u16 port = bpf_ntohs(ctx->user_port);
    struct hd_flow flow = {.dst_port = port};
    struct hd_sk *storage;
    int proxy;

    if (!hd_is_mesh_port(port))
        return HD_ALLOW;
    flow.netns_cookie = bpf_get_netns_cookie(ctx);
    if (!bpf_map_lookup_elem(&hd_pods, &flow.netns_cookie))
        return HD_ALLOW;
    storage = bpf_sk_storage_get(&hd_sk, ctx->sk, 0, 0);
    proxy = (storage && storage->proxy) || hd_caller_is_proxy();
    if (hd_may_bind(proxy, ctx->type == SOCK_STREAM, port))
        return HD_ALLOW;
    hd_count(HD_STAT_BIND_REFUSED);
    hd_report(HD_EVENT_BIND_REFUSED, HD_STAT_BIND_REFUSED, &flow, bpf_get_socket_cookie(ctx));
    bpf_set_retval(
        -EADDRINUSE); /* What the application would see while the agent's listener is there. */
    return HD_DENY;
}

SEC("cgroup/bind4")
int hd_bind4(struct bpf_sock_addr *ctx)
{
    return guard(ctx);
}

SEC("cgroup/bind6")
int hd_bind6(struct bpf_sock_addr *ctx)
{
    return guard(ctx);
}
