{#
    DuckDB replaces a view in one statement. dbt's own way (make, rename the old one, rename the new
    one, drop the old one) is safe on any warehouse and takes four times as many; there are many views.
#}
{% materialization view, adapter="duckdb" -%}
    {%- set view = this.incorporate(type="view") -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is not none and existing.type != "view" -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement("main") -%}
        create or replace view {{ view }} as (
            {{ sql }}
        )
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({"relations": [view]}) }}
{%- endmaterialization %}
