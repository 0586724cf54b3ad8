import os

DEBUG = False
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["www.example.com"]
STATIC_ROOT = "/srv/shop/static"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True

JUGPUSH = {
    "BROKER": os.environ["JUGPUSH_BROKER"],
    "NAMESPACE": "shop",
}
