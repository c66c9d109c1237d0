// Package config reads the one YAML file and the environment variables, says with line and column what is wrong, and
// explains the effective configuration.
//
// Every key stands once, as a field of Config: its yaml name, its default and its help. The environment variable of a key
// is DEMARC_ and its path in capitals (http.listen: DEMARC_HTTP_LISTEN) and wins over the file. Lists of objects are set
// in the file only. Configuration keys are promised.
package config
