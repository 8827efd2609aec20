{{/* What every object carries. */}}
{{- define "fanwatch.labels" -}}
app.kubernetes.io/part-of: fanwatch
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
app.kubernetes.io/name: {{ .name }}
{{- end }}

{{/* What selects the pods of one kind; never changes, since a StatefulSet's selector cannot. */}}
{{- define "fanwatch.selector" -}}
app.kubernetes.io/part-of: fanwatch
app.kubernetes.io/name: {{ .name }}
{{- end }}

{{/* The same on one line. */}}
{{- define "fanwatch.match" -}}
{ matchLabels: { app.kubernetes.io/part-of: fanwatch, app.kubernetes.io/name: {{ . }} } }
{{- end }}

{{- define "fanwatch.image" -}}
{{- $image := .root.Values.image -}}
{{ with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}/{{ .room }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/*
The head of every pod's spec. uid, gid: whom it runs as; the numbers of docker-compose.yml.
  automountServiceAccountToken  against a pod that was broken into speaking to Kubernetes: only setup has an account
  enableServiceLinks            against variables like INFLUXDB_PORT=tcp://..., which InfluxDB takes for its settings
  securityContext               what Pod Security "restricted" asks for
*/}}
{{- define "fanwatch.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .uid }}
  runAsGroup: {{ .gid }}
  fsGroup: {{ .fsGroup | default .uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Against an intruder who wants to stay, or to become more than he is: nothing to write but volumes, no rights, no way to any. */}}
{{- define "fanwatch.container" -}}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- with .resources }}
resources: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A small /tmp in memory, for everybody. */}}
{{- define "fanwatch.tmp" -}}
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 16Mi }
{{- end }}

{{/*
The secrets of one reader and of nobody else, which setup makes (templates/setup.yaml). Naming each file holds the pod back until
setup has written all of them; `given` are those that a person may give later.
*/}}
{{- define "fanwatch.secrets" -}}
- name: secrets
  projected:
    # Readable for the pod's group, and nobody else.
    defaultMode: 0440
    sources:
      - secret:
          name: secrets-{{ .reader }}
          items:
          {{- range .files }}
            - { key: {{ . }}, path: {{ . }} }
          {{- end }}
      {{- range .given }}
      - secret:
          name: secrets-{{ $.reader }}
          optional: true
          items: [{ key: {{ . }}, path: {{ . }} }]
      {{- end }}
{{- end }}

{{- define "fanwatch.mqtt" -}}
- { name: FANWATCH_MQTT_HOST, value: {{ .Values.broker.host | quote }} }
- { name: FANWATCH_MQTT_PORT, value: {{ .Values.broker.port | quote }} }
- { name: FANWATCH_SECRETS_DIR, value: /run/fanwatch }
{{- end }}

{{/* Pods of one kind on different nodes, where there are several. */}}
{{- define "fanwatch.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "fanwatch.selector" . | nindent 8 }}
{{- end }}

{{/* On the node of the monitor, whose volume can be mounted nowhere else. */}}
{{- define "fanwatch.besideMonitor" -}}
podAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector: {{ include "fanwatch.match" "monitor" }}
{{- end }}

{{/* A claim of a volume: size and class of one entry under `storage`. */}}
{{- define "fanwatch.claim" -}}
accessModes: [{{ .accessMode | default "ReadWriteOnce" }}]
{{- with .class }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests: { storage: {{ .size }} }
{{- end }}

{{/* Which of the chart's pods there are. */}}
{{- define "fanwatch.kinds" -}}
{{- $kinds := list "influxdb" "telegraf" "history" "setup" -}}
{{- if .Values.broker.enabled }}{{ $kinds = append $kinds "mosquitto" }}{{ end -}}
{{- if .Values.scoring.enabled }}{{ $kinds = concat $kinds (list "predictor" "inference" "monitor" "drift") }}{{ end -}}
{{- if .Values.grafana.enabled }}{{ $kinds = append $kinds "grafana" }}{{ end -}}
{{- if .Values.gateway.enabled }}{{ $kinds = append $kinds "gateway" }}{{ end -}}
{{- if .Values.simulator.enabled }}{{ $kinds = append $kinds "simulator" }}{{ end -}}
{{- if .Values.model.image }}{{ $kinds = append $kinds "model" }}{{ end -}}
{{- if .Values.pipeline.enabled }}{{ $kinds = append $kinds "pipeline" }}{{ end -}}
{{ $kinds | sortAlpha | join " " }}
{{- end }}
