"""The app: its pages side by side. Started by `analyzer`, which runs Streamlit on this file."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from orchestrate.analyzer.sitemap import PAGES

_HERE = Path(__file__).parent

# An icon of Streamlit's own would be fetched from the network.
st.set_page_config(page_title="Run analyzer", page_icon=str(_HERE / "icon.png"), layout="wide")
st.navigation(
    [
        st.Page(_HERE / f"layouts/{page.name}.py", title=page.title, icon=page.icon)
        for page in PAGES.values()
    ],
    position="top",
).run()
