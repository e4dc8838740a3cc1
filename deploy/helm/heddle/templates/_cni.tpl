{{- /* {confDir, binDir} of agent.cni, as JSON. The names are those of --cni-platform (agent/node/cni_paths.cc). */ -}}
{{- define "heddle.cni" -}}
{{- $default := dict "confDir" "/etc/cni/net.d" "binDir" "/opt/cni/bin" -}}
{{- $platforms := dict "default" $default "eks" $default "minikube" $default
  "gke" (dict "confDir" "/etc/cni/net.d" "binDir" "/home/kubernetes/bin")
  "k3s" (dict "confDir" "/var/lib/rancher/k3s/agent/etc/cni/net.d" "binDir" "/var/lib/rancher/k3s/data/cni")
  "k3d" (dict "confDir" "/var/lib/rancher/k3s/agent/etc/cni/net.d" "binDir" "/bin")
  "microk8s" (dict "confDir" "/var/snap/microk8s/current/args/cni-network" "binDir" "/var/snap/microk8s/current/opt/cni/bin") -}}
{{- $cni := .Values.agent.cni -}}
{{- if ne (empty $cni.confDir) (empty $cni.binDir) -}}
{{- fail "agent.cni: confDir and binDir go together" -}}
{{- end -}}
{{- if $cni.confDir -}}
{{- toJson (dict "confDir" $cni.confDir "binDir" $cni.binDir) -}}
{{- else -}}
{{- toJson (get $platforms $cni.platform) -}}
{{- end -}}
{{- end }}
