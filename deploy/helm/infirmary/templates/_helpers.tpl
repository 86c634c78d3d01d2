{{- define "infirmary.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "infirmary.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "infirmary.labels" -}}
{{ include "infirmary.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "infirmary.image" -}}
{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What is the same for every service and no secret: variables and their values. */}}
{{- define "infirmary.settings" -}}
INFIRMARY_ENVIRONMENT: production
INFIRMARY_DATA: /data
INFIRMARY_PUBLIC_URL: {{ required "publicUrl is required: https://… as people type it" .Values.publicUrl | quote }}
INFIRMARY_LOG_LEVEL: {{ .Values.logLevel | quote }}
{{- range $key, $value := .Values.hospital }}
{{- if $value }}
INFIRMARY_HOSPITAL__{{ upper $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
INFIRMARY_MAIL__HOST: {{ required "mail.host is required: a production hospital sends e-mail" .Values.mail.host | quote }}
INFIRMARY_MAIL__PORT: {{ .Values.mail.port | quote }}
INFIRMARY_MAIL__SENDER: {{ .Values.mail.sender | quote }}
INFIRMARY_MAIL__STARTTLS: {{ .Values.mail.starttls | quote }}
INFIRMARY_SERVICES__BUS: {{ printf "kafka://%s" .Values.kafka.brokers | quote }}
INFIRMARY_SERVICES__REGISTRY: {{ printf "dns://%s-{service}:8000" (include "infirmary.fullname" .) | quote }}
INFIRMARY_SERVICES__INTERNAL: {{ .Values.network.internal | quote }}
INFIRMARY_SERVICES__GATEWAY: "true"
{{- with .Values.traces.collector }}
INFIRMARY_SERVICES__TRACES: {{ . | quote }}
INFIRMARY_SERVICES__TRACE_SHARE: {{ $.Values.traces.share | quote }}
{{- end }}
{{- if or .Values.live.common .Values.live.services }}
INFIRMARY_SERVICES__CONFIG: /config
{{- end }}
{{- range $key, $value := .Values.settings }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Databases, for one user. The password comes first: Kubernetes puts it into what follows. */}}
{{- define "infirmary.database" -}}
- name: DATABASE_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .root.Values.database.passwords }}, key: {{ .name }}}}
- name: INFIRMARY_DATABASE
  value: {{ .url | quote }}
{{- end }}

{{- define "infirmary.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "infirmary.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "infirmary.peers" -}}
{{- if . }}to: {{ toJson . }}{{ end }}
{{- end }}
