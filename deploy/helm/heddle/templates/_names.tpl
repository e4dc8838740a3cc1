{{- define "heddle.labels" -}}
app.kubernetes.io/part-of: heddle
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "heddle.image" -}}
{{ .root.Values.image.registry }}/heddle-{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "heddle.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The DNS name that agents call and that the controller's certificate is for. */ -}}
{{- define "heddle.controllerName" -}}
heddle-controller.{{ .Release.Namespace }}.svc
{{- end }}

{{- /* Namespaces that the mesh leaves alone, for agents and controllers alike. */}}
{{- define "heddle.exemptNamespaces" -}}
{{ append .Values.agent.exemptNamespaces .Release.Namespace | uniq | join "," }}
{{- end }}
