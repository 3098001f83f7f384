"""How the lab looks: theme tokens for light and dark, the style sheet, and what stands in the document's head."""

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

from genai_lab.web.paths import ASSETS as ASSETS_ROUTE

ASSETS = Path(__file__).resolve().parents[1] / "assets"

_LIGHT_DARK = {
    "body_background_fill": ("#ffffff", "#0e0f11"),
    "background_fill_primary": ("#ffffff", "#131417"),
    "background_fill_secondary": ("#f5f5f6", "#1a1b1f"),
    "body_text_color": ("#1b1c1f", "#e6e7ea"),
    "body_text_color_subdued": ("#5b5f67", "#9aa0aa"),
    "border_color_primary": ("#e2e3e7", "#282a30"),
    "block_background_fill": ("#ffffff", "#131417"),
    "block_shadow": ("none", "none"),
    "block_label_background_fill": ("transparent", "transparent"),
    "block_label_text_color": ("*body_text_color_subdued", "*body_text_color_subdued"),
    "block_title_text_color": ("*body_text_color", "*body_text_color"),
    "block_info_text_color": ("*body_text_color_subdued", "*body_text_color_subdued"),
    "input_background_fill": ("#ffffff", "#0e0f11"),
    "input_border_color": ("#d0d2d7", "#363940"),
    "input_border_color_focus": ("*primary_500", "*primary_400"),
    "input_placeholder_color": ("#6b7079", "#8b919c"),
    "input_border_width": ("1px", "1px"),
    "button_primary_background_fill": ("*primary_600", "*primary_600"),
    "button_primary_background_fill_hover": ("*primary_700", "*primary_700"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_primary_border_color": ("transparent", "transparent"),
    "button_secondary_background_fill": ("#ffffff", "#1b1c20"),
    "button_secondary_background_fill_hover": ("#f5f5f6", "#24262b"),
    "button_secondary_border_color": ("#d0d2d7", "#363940"),
    "button_secondary_text_color": ("*body_text_color", "*body_text_color"),
    "button_cancel_background_fill": ("#ffffff", "#1b1c20"),
    "button_cancel_background_fill_hover": ("#fef2f2", "#2a1719"),
    "button_cancel_border_color": ("#e5b4b4", "#6b2b30"),
    "button_cancel_text_color": ("#b42318", "#f59a93"),
    "checkbox_label_background_fill": ("transparent", "transparent"),
    "checkbox_label_background_fill_selected": ("*background_fill_secondary", "*background_fill_secondary"),
    "slider_color": ("*primary_600", "*primary_500"),
    "table_even_background_fill": ("#ffffff", "#131417"),
    "table_odd_background_fill": ("#ffffff", "#131417"),
    "table_border_color": ("#e2e3e7", "#282a30"),
    "link_text_color": ("*primary_700", "*primary_300"),
    "link_text_color_hover": ("*primary_800", "*primary_200"),
    "accordion_text_color": ("*body_text_color", "*body_text_color"),
}
_SAME = {
    "block_border_width": "1px",
    "block_label_border_width": "0px",
    "block_label_text_weight": "500",
    "block_title_text_weight": "500",
    "block_title_text_size": "13px",
    "block_info_text_size": "12px",
    "block_padding": "10px",
    "layout_gap": "10px",
    "form_gap_width": "1px",
    "input_padding": "6px 8px",
    "input_shadow_focus": "0 0 0 2px color-mix(in srgb, *primary_500 25%, transparent)",
    "button_border_width": "1px",
    "button_large_padding": "6px 12px",
    "button_large_text_size": "13px",
    "button_large_text_weight": "500",
    "button_large_radius": "6px",
    "button_medium_padding": "6px 12px",
    "button_medium_text_size": "13px",
    "button_medium_text_weight": "500",
    "button_medium_radius": "6px",
    "button_small_padding": "3px 8px",
    "button_small_text_size": "12px",
    "button_small_text_weight": "500",
    "button_small_radius": "5px",
    "button_transform_hover": "none",
    "button_transform_active": "none",
}


class LabTheme(gr.themes.Base):
    """Sober and dense; no font or style is fetched from another host."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=colors.indigo,
            secondary_hue=colors.indigo,
            neutral_hue=colors.zinc,
            spacing_size=sizes.spacing_sm,
            radius_size=sizes.radius_sm,
            text_size=sizes.text_sm,
            font=[gr.themes.Font("Inter Variable"), "system-ui", "sans-serif"],
            font_mono=[gr.themes.Font("JetBrains Mono Variable"), "ui-monospace", "monospace"],
        )
        tokens = dict(_SAME)
        for name, (light, dark) in _LIGHT_DARK.items():
            tokens |= {name: light, f"{name}_dark": dark}
        super().set(**tokens)


def style_sheet() -> str:
    return (ASSETS / "lab.css").read_text()


def head() -> str:
    """Fonts before first paint, so that nothing moves when they arrive."""
    faces, preloads = "", ""
    fonts = {"Inter Variable": "inter-latin-wght-normal", "JetBrains Mono Variable": "jetbrains-mono-latin-wght-normal"}
    for family, file in fonts.items():
        address = f"{ASSETS_ROUTE}/fonts/{file}.woff2"
        preloads += f'<link rel="preload" href="{address}" as="font" type="font/woff2" crossorigin>'
        faces += (
            f"@font-face{{font-family:'{family}';src:url('{address}') format('woff2');"
            "font-weight:100 900;font-display:swap}"
        )
    icon = f'<link rel="icon" type="image/svg+xml" href="{ASSETS_ROUTE}/favicon.svg">'
    script = f'<script src="{ASSETS_ROUTE}/lab.js" defer></script>'
    return f"{icon}{preloads}<style>{faces}</style>{script}"
