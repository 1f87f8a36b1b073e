{{- define "penstock.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "penstock.account" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "penstock.name" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "penstock.chosen" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "penstock.labels" -}}
{{ include "penstock.chosen" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "penstock.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{/* What all pods have. A Service called penstock would otherwise put PENSTOCK_PORT into them, which is a setting. */}}
{{- define "penstock.pod" -}}
serviceAccountName: {{ include "penstock.account" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- if .root.Values.spread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "penstock.chosen" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* The root file system can be written to: compiled kernels of the image lie there, and of another processor are added. */}}
{{- define "penstock.container" -}}
image: {{ include "penstock.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  capabilities: {drop: [ALL]}
env:
  - {name: PENSTOCK_DATA, value: /data}
  - {name: PENSTOCK_HOST, value: 0.0.0.0}
  {{- if .Values.personalKey.name }}
  - {name: PENSTOCK_PERSONAL_KEY_FILE, value: /etc/penstock/personal/personal.key}
  {{- end }}
  {{- range $name, $value := .Values.settings }}
  - {name: PENSTOCK_{{ upper $name }}, value: {{ toString $value | quote }}}
  {{- end }}
  {{- range $name, $value := .Values.env }}
  - {name: {{ $name }}, value: {{ toString $value | quote }}}
  {{- end }}
  {{- range $name, $from := .Values.secretEnv }}
  - name: {{ $name }}
    valueFrom:
      secretKeyRef: {name: {{ $from.name }}, key: {{ $from.key }}}
  {{- end }}
volumeMounts:
  - {name: data, mountPath: /data}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.kafkaProperties.name }}
  - {name: kafka, mountPath: /etc/penstock/kafka, readOnly: true}
  {{- end }}
  {{- if .Values.personalKey.name }}
  - {name: personal, mountPath: /etc/penstock/personal, readOnly: true}
  {{- end }}
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "penstock.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- with .Values.kafkaProperties }}
{{- if .name }}
- name: kafka
  secret:
    secretName: {{ .name }}
    items: [{key: {{ .key | quote }}, path: client.properties}]
{{- end }}
{{- end }}
{{- with .Values.personalKey }}
{{- if .name }}
- name: personal
  secret:
    secretName: {{ .name }}
    items: [{key: {{ .key | quote }}, path: personal.key}]
{{- end }}
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "penstock.probes" -}}
startupProbe:
  httpGet: {path: /health, port: http, httpHeaders: [{name: Host, value: localhost}]}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: http, httpHeaders: [{name: Host, value: localhost}]}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /ready, port: http, httpHeaders: [{name: Host, value: localhost}]}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}

{{- define "penstock.claim" -}}
metadata:
  name: data
spec:
  accessModes: [ReadWriteOnce]
  {{- with .className }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .size }}
{{- end }}
