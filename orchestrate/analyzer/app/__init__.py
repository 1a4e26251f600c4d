"""The app: `main` is what Streamlit runs, `layouts` are its pages, drawn with `widgets`."""
