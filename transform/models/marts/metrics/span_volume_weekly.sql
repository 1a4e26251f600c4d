-- The same as span_volume_daily per week: how much did each service do, how long did it take, how well did it go?
{{ config(meta={"time_column": "week_start_date"}) }}

{{ span_volume_over("week") }}
