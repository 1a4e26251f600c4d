{#
    A query with everything that differs from call to call taken out, so that equal queries have equal
    texts: comments go, literals, numbers and placeholders of every dialect become ?, a list of nothing
    but these becomes (?), as do several such rows of VALUES, white space becomes one space. Letters
    keep their case, names their digits. Slow by its many passes: call it on distinct texts.
#}
{% macro query_text(description) -%}
    {%- set passes = [
        ("/[*]([^*]|[*]+[^*/])*[*]+/", " "),
        ("''([^'']|'''')*''", "?"),
        ("--[^\n]*", " "),
        ("%[(][A-Za-z_0-9]+[)]s|%[sdi]|[$][0-9]+|[?][0-9]+", "?"),
        ("([^:@A-Za-z0-9_])[:@][A-Za-z_][A-Za-z_0-9]*", "\\1?"),
        ("([^A-Za-z0-9_.$\"`])-?(0[xX][0-9a-fA-F]+|[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?)", "\\1?"),
        ("[[:space:]]+", " "),
        ("[(] ?[?]( ?, ?[?])* ?[)]", "(?)"),
        ("[(][?][)]( ?, ?[(][?][)])+", "(?)"),
    ] -%}
    {%- set text = namespace(sql=description) -%}
    {%- for pattern, replacement in passes -%}
        {%- set text.sql = "regexp_replace(" ~ text.sql ~ ", '" ~ pattern ~ "', '" ~ replacement ~ "', 'g')" -%}
    {%- endfor -%}
    trim({{ text.sql }})
{%- endmacro %}
