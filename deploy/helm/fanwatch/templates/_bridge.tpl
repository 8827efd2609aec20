{{/*
What a site's broker says to the hub's: the lines that follow the repository's mosquitto.conf where bridge.host is set.
tests/deploy/test_bridged_brokers.py runs them between real brokers.
*/}}
{{- define "fanwatch.bridge" -}}
{{- with .Values.bridge }}{{ if .host }}

# --- to the hub, by the chart's values under `bridge` -------------------------------------------------

connection hub
address {{ .host }}:{{ .port }}
# What this site publishes as fan/... is there as {{ .site }}/...: a topic root of its own for each site.
{{- range .topics }}
topic {{ . }} out 1 fan/ {{ $.Values.bridge.site }}/
{{- end }}
bridge_protocol_version mqttv50
# A fixed name and a kept session on both sides: while the hub is away the readings wait in this broker's queue, which lies on its
# disk. Without it they are dropped.
remote_clientid fanwatch-site-{{ .site }}
local_clientid fanwatch-bridge
cleansession false
# Without it a new connection would take the hub's session apart first.
bridge_attempt_unsubscribe false
# Nobody there asks for this broker's own state, and the topic would lie outside the site's root.
notifications false
# Without it, up to a minute after the hub is back; never more often than each second.
restart_timeout 1 10
keepalive_interval 30
{{- if .tls }}
# Readings leave the site: encrypted, the hub known by its certificate and this site by its own, so that no password stands here.
bridge_cafile /run/hub/ca.crt
bridge_certfile /run/hub/tls.crt
bridge_keyfile /run/hub/tls.key
bridge_tls_version tlsv1.2
bridge_insecure false
{{- end }}
{{ end }}{{ end -}}
{{- end }}
