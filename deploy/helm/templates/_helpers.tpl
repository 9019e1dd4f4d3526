{{- define "selector" -}}
app.kubernetes.io/name: orders-saas-api
{{- end }}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Variables of docs/configuration.md; a secret is the name of its file, and its name is in secrets.variables. */}}
{{- define "configuration" -}}
{{- range .Values.secrets.variables }}
{{ . }}_FILE: /run/secrets/orders-saas-api/{{ . }}
{{- end }}
{{- range $name, $value := .Values.configuration }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
