"""The pastebin's forms."""

from __future__ import annotations

from django import forms

from .models import Paste


class PasteForm(forms.ModelForm):
    """A new paste or a reply."""

    parent = forms.ModelChoiceField(Paste.objects.all(), required=False, widget=forms.HiddenInput)

    class Meta:
        model = Paste
        fields = ["code", "parent"]
        widgets = {"code": forms.Textarea(attrs={"rows": 12, "spellcheck": "false"})}
        error_messages = {"code": {"required": "There is nothing to paste yet."}}
