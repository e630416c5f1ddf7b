"""Installation of pyexim; pinned dependencies, optional features as extras."""

from setuptools import find_packages, setup

setup(
    name="pyexim",
    version="0.1.0",
    description="A drop-in replacement for the Exim mail transfer agent",
    license="MIT",
    python_requires=">=3.11",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={"pyexim": ["py.typed"]},
    scripts=["bin/pyexim"],
    install_requires=[
        "psutil==7.2.2",
        "setproctitle==1.3.8",
        "python-daemon==3.1.2",
        "pcre2==0.7.1",
    ],
    extras_require={
        # STARTTLS and TLS on connect; cryptography brings the OpenSSL that is used:
        "tls": ["pyOpenSSL==26.4.0", "cryptography==50.0.2"],
        # Lookups in other services and in files of other libraries:
        "lmdb": ["lmdb==3.0.0"],
        "redis": ["redis==8.1.0"],
        "mysql": ["PyMySQL==1.2.4"],
        "pgsql": ["psycopg[binary]==3.3.9"],
        "ldap": ["ldap3==2.9.1"],
        "test": ["pytest==9.2.0", "hypothesis==6.170.15", "pytest-xdist==3.8.0", "pytest-rerunfailures==16.7",
                 "dnspython==2.9.2"],
        "dev": ["mypy==2.4.1", "ruff==0.17.6"],
    },
)
