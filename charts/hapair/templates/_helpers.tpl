{{/* Labels of every object. */}}
{{- define "hapair.labels" -}}
app.kubernetes.io/name: hapair
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What selects the operator's pods; a Deployment's selector cannot change. */}}
{{- define "hapair.operatorSelector" -}}
app.kubernetes.io/name: hapair
app.kubernetes.io/component: operator
{{- end }}

{{/* The user name of an agent up to its node's name. */}}
{{- define "hapair.agentUsernamePrefix" -}}
system:serviceaccount:{{ .Release.Namespace }}:hapair-agent-
{{- end }}
