"""
The pastebin's pages. ``push.py`` and the templates know about push; here it is only said which tab did something, since
the page that this tab goes to next shows it already.
"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

import django_jugpush as push

from .forms import PasteForm
from .models import Paste

FRONT_PAGE_SIZE = 10
MY_PASTES_PAGE_SIZE = 20


@require_http_methods(["GET", "HEAD", "POST"])
def front(request):
    """Show the form for a paste (or a reply, with ``?reply_to=``) above the newest pastes, and take what it sends."""
    if request.method == "POST":
        return create(request)
    parent = find_paste(request.GET.get("reply_to"))
    form = PasteForm(initial={"parent": parent, "code": parent.code} if parent else None)
    return render_front(request, form, parent)


def create(request):
    """Store what the form sent and go to it, or show the form again."""
    data = request.POST.copy()
    parent = find_paste(data.get("parent"))
    if data.get("parent") and parent is None:
        data["parent"] = ""
        messages.warning(request, "The paste you replied to is gone, so yours stands alone.")
    form = PasteForm(data)
    form.instance.author = request.user if request.user.is_authenticated else None
    if form.is_valid():
        with push.caused_by(request):
            return redirect(form.save())
    return render_front(request, form, parent)


def render_front(request, form, parent):
    query = request.GET.get("q", "").strip()
    pastes = Paste.objects.for_list()
    context = {
        "form": form,
        "parent": parent,
        "query": query,
        "page": paginate(request, pastes.matching(query) if query else pastes, FRONT_PAGE_SIZE),
    }
    return render(request, "pastebin/front.html", context)


@require_safe
def paste(request, pk):
    """Show a paste and the replies to it."""
    paste = get_object_or_404(Paste.objects.select_related("author", "parent"), pk=pk)
    replies = paste.replies.for_list().order_by("pk")
    return render(request, "pastebin/paste.html", {"paste": paste, "replies": replies})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request, pk):
    """Ask the author whether to delete the paste, and do it if the answer is yes."""
    paste = get_object_or_404(Paste, pk=pk)
    if paste.author != request.user:
        raise PermissionDenied
    if request.method != "POST":
        return render(request, "pastebin/delete.html", {"paste": paste})
    if "yes" not in request.POST:
        return redirect(paste)
    with push.caused_by(request):
        paste.delete()
    messages.success(request, "Paste was deleted.")
    return redirect("front")


@login_required
@require_safe
def my_pastes(request):
    """List the pastes of the user, newest first."""
    page = paginate(request, request.user.pastes.for_list(), MY_PASTES_PAGE_SIZE)
    return render(request, "pastebin/my_pastes.html", {"page": page})


class Login(SuccessMessageMixin, LoginView):
    """Log in, and back to where one came from; Django lets ``next`` lead to this site only."""

    success_message = "You are now logged in as %(username)s."
    redirect_authenticated_user = True


class Logout(LogoutView):
    """Log out, by POST only, as Django has it."""

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        messages.success(request, "You were logged out.")
        return response


def find_paste(pk):
    """Return the paste that a form or an address names, or None if there is none."""
    return Paste.objects.filter(pk=int(pk)).first() if pk and pk.isdecimal() else None


def paginate(request, pastes, size):
    return Paginator(pastes, size).get_page(request.GET.get("page"))
