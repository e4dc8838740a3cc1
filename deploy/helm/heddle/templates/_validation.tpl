{{- /* Of which objects, and when. */ -}}
{{- define "heddle.validation.what" -}}
failurePolicy: {{ .root.Values.validation.failurePolicy }}
matchConstraints:
  resourceRules:
  - apiGroups: [security.istio.io]
    apiVersions: [v1, v1beta1]
    operations: [CREATE, UPDATE]
    resources: [{{ .resource }}]
matchConditions:
# An object that was there before may still get labels and lose finalizers.
- name: changed
  expression: >-
    request.operation == 'CREATE' || dyn(object).?spec != dyn(oldObject).?spec ||
    dyn(object.metadata).?annotations[?'istio.io/dry-run'] != dyn(oldObject.metadata).?annotations[?'istio.io/dry-run']
{{- end }}

{{- define "heddle.validation.selector" -}}
- expression: "!has(variables.spec.selector) || !has(variables.spec.selector.matchLabels) || variables.spec.selector.matchLabels.all(k, k != '' && !k.contains('*') && !variables.spec.selector.matchLabels[k].contains('*'))"
  message: spec.selector.matchLabels takes no wildcards and no empty names
  reason: Invalid
- expression: "!has(variables.spec.selector) || !has(variables.spec.selector.matchLabels) || variables.spec.selector.matchLabels.all(k, size(bytes(variables.spec.selector.matchLabels[k])) <= 63)"
  message: spec.selector.matchLabels has a value of more than 63 bytes
  reason: Invalid
{{- end }}
