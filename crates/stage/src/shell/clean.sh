# Of variables that the login exports nothing is ours: what is assigned to such a name, every child would get.
set +a
unset IFS CDPATH GREP_OPTIONS token hub base path url target answer redirect repo list work name dir
